//! What a guest said on its line to the host: its own facts, begun by a mark,
//! and between them what the tests say.

use std::collections::BTreeMap;

/// Begins a line of pid 1 (`tests/src/bin/init.rs`).
const MARK: &str = "@vm ";

/// How a test says that its kernel has nothing that it could be judged by.
const INAPPLICABLE: &str = "NOT APPLICABLE: ";

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// And why.
    Inapplicable(String),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// What `uname -r` says inside; `None` if it never came that far.
    pub(super) release: Option<String>,
    pub(super) outcomes: BTreeMap<String, Outcome>,
    /// What `probe doctor --json` says inside.
    pub(super) doctor: Option<String>,
    /// What `measure` says inside.
    pub(super) measured: Option<String>,
    /// What pid 1 could not do, and what it says besides.
    pub(super) notes: Vec<String>,
    /// It came to its end.
    pub(super) is_whole: bool,
    running: Option<String>,
}

impl Transcript {
    /// Whether a line says no more than was said before: how a test ended that has
    /// told that it is not applicable.
    pub(super) fn is_known(&self, line: &str) -> bool {
        line == "FAILED" && self.running.is_none()
    }

    /// A line, as it comes.
    pub(super) fn read(&mut self, line: &str) {
        match line.split_once(MARK) {
            // What is before it was not ended by a line feed.
            Some((_, fact)) => self.fact(fact),
            None => self.harness(line),
        }
    }

    /// Nothing comes any more: what was running did not end.
    pub(super) fn close(&mut self) {
        if let Some(test) = self.running.take() {
            self.notes.push(format!("error {test} did not end"));
            self.outcomes.insert(test, Outcome::Failed);
        }
    }

    fn fact(&mut self, fact: &str) {
        let (word, rest) = fact.split_once(' ').unwrap_or((fact, ""));
        match word {
            "begin" => self.release = Some(rest.to_owned()),
            "doctor" => self.doctor = Some(rest.to_owned()),
            "measured" => self.measured = Some(rest.to_owned()),
            "end" => self.is_whole = true,
            "ran" => self.ran(rest),
            "inapplicable" => {
                if let Some((name, why)) = rest.split_once(' ') {
                    let why = Outcome::Inapplicable(why.to_owned());
                    self.outcomes.insert(name.to_owned(), why);
                }
            }
            "note" | "error" => self.notes.push(fact.to_owned()),
            _ => {}
        }
    }

    /// The integration tests are told one by one, all else as a whole.
    fn ran(&mut self, part: &str) {
        let Some((name, status)) = part.rsplit_once(' ') else {
            return;
        };
        self.close();
        let is_good = status == "0";
        if name != "tests" {
            let outcome = if is_good {
                Outcome::Passed
            } else {
                Outcome::Failed
            };
            self.outcomes.insert(name.to_owned(), outcome);
        } else if !is_good && self.outcomes.values().all(|it| *it == Outcome::Passed) {
            self.notes
                .push(format!("error the tests ended with {status}"));
        }
    }

    /// `test NAME ... ok`, between whose words a child may have said something, or the
    /// test that it is not applicable: then it says `FAILED` on a line of its own.
    fn harness(&mut self, line: &str) {
        if let Some((name, _)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        {
            self.running = Some(name.to_owned());
        }
        if let Some((_, why)) = line.split_once(INAPPLICABLE) {
            self.end(Outcome::Inapplicable(why.to_owned()));
        } else if line.ends_with("ok") {
            self.end(Outcome::Passed);
        } else if line.ends_with("FAILED") {
            self.end(Outcome::Failed);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(test) = self.running.take() {
            self.outcomes.insert(test, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Transcript {
        let mut transcript = Transcript::default();
        text.lines().for_each(|line| transcript.read(line));
        transcript.close();
        transcript
    }

    #[test]
    fn tests_and_parts_are_told_apart() {
        let transcript = read(
            "\
@vm begin 6.12.1
@vm run tests
test wait::a ... ok
test wait::b ... a child says this
FAILED
test wait::c ... NOT APPLICABLE: no tracing
FAILED

failures:

---- wait::c stdout ----
thread 'wait::c' panicked at tests/src/fact.rs:1:
NOT APPLICABLE: no tracing
@vm ran tests 101
@vm inapplicable soak::bpf no tracing
@vm ran soak::poll 0
@vm end
",
        );
        let inapplicable = Outcome::Inapplicable("no tracing".to_owned());
        let expected = [
            ("soak::bpf", inapplicable.clone()),
            ("soak::poll", Outcome::Passed),
            ("wait::a", Outcome::Passed),
            ("wait::b", Outcome::Failed),
            ("wait::c", inapplicable),
        ];
        let outcomes: Vec<_> = transcript
            .outcomes
            .iter()
            .map(|(name, outcome)| (name.as_str(), outcome.clone()))
            .collect();
        assert_eq!(outcomes, expected);
        assert_eq!(transcript.release.as_deref(), Some("6.12.1"));
        assert!(transcript.is_whole && transcript.notes.is_empty());
    }

    #[test]
    fn a_test_that_never_ends_has_failed() {
        let transcript = read("@vm begin 5.10\ntest kill::a ... ");
        assert_eq!(transcript.outcomes["kill::a"], Outcome::Failed);
        assert!(!transcript.is_whole);
    }
}
