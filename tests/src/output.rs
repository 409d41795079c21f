//! Exit code and output of a `probe` that has ended.

use serde_json::Value;

use crate::schema::parse_line;

/// Exit code and output of a `probe` that has ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The fatal signal.
    pub signal: Option<i32>,
    /// The whole stdout.
    pub stdout: String,
    /// The whole stderr.
    pub stderr: String,
}

impl Output {
    /// stdout as JSON lines, each validated against its schema.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(parse_line).collect()
    }

    /// The last line of a wait or a kill. Asserts this outcome and its exit code.
    #[expect(clippy::must_use_candidate, reason = "the call is an assertion too")]
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

    /// Asserts this exit code, an empty stdout, and these words on stderr.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "a failed command prints no data");
        for word in words {
            assert!(self.stderr.contains(word), "no '{word}' in {self:#?}");
        }
    }
}
