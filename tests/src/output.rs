//! What a `probe` that ended left behind.

use serde_json::Value;

use crate::schema::parse_line;

/// What a `probe` that ended left behind.
#[derive(Debug)]
pub struct Output {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of it.
    pub stdout: String,
    /// All of it.
    pub stderr: String,
}

impl Output {
    /// stdout as JSON lines, each held against its schema.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(parse_line).collect()
    }

    /// The last line, of a wait or a kill that ended so and with the exit code that
    /// belongs to it.
    #[expect(clippy::must_use_candidate, reason = "it asserts, too")]
    #[track_caller]
    pub fn verdict(&self, outcome: &str) -> Value {
        let code = match outcome {
            "timeout" => 3,
            "not_removed" => 1,
            _ => 0,
        };
        assert_eq!(self.code, Some(code), "{self:#?}");
        let verdict = self.json().pop();
        let verdict = verdict.unwrap_or_else(|| panic!("no verdict in {self:#?}"));
        assert_eq!(verdict["outcome"], outcome, "{self:#?}");
        verdict
    }

    /// That there is nothing on stdout, this exit code, and these words on stderr.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "no data of a command that failed");
        for word in words {
            assert!(self.stderr.contains(word), "no '{word}' in {self:#?}");
        }
    }
}
