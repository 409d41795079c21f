//! The output of a guest: facts of its pid 1, which begin with a mark, lines of the tests,
//! and the console of the kernel.

use std::collections::BTreeMap;

/// The beginning of a line of pid 1 (`tests/src/bin/init.rs`).
const MARK: &str = "@vm ";

/// The text of a test that does not apply to its kernel (`tests/src/applicable.rs`).
const INAPPLICABLE: &str = "NOT APPLICABLE: ";

/// Words on the console of a kernel with a defect.
const BROKEN: &str = "BUG:|kernel BUG at|Oops|WARNING: CPU|Kernel panic|blocked for more than|\
                      general protection fault";

/// Words on the console of a kernel that got no CPU time, as happens on a busy machine.
const STALLED: &str = "soft lockup|detected stalls on|self-detected stall";

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// With the reason.
    Inapplicable(String),
}

/// The output of a guest.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The output of `uname -r`; `None` if the guest did not start pid 1.
    pub(super) release: Option<String>,
    pub(super) outcomes: BTreeMap<String, Outcome>,
    /// The output of `probe doctor --json`.
    pub(super) doctor: Option<String>,
    /// The output of `measure` of the tests.
    pub(super) measured: Option<String>,
    pub(super) trouble: Vec<String>,
    pub(super) has_stalled: bool,
    is_complete: bool,
    running: Option<String>,
}

impl Transcript {
    /// Reads a line; returns whether it is for people.
    pub(super) fn read(&mut self, line: &str) -> bool {
        // A test that is not applicable has ended with its message.
        let is_repeated = line == "FAILED" && self.running.is_none();
        match line.split_once(MARK) {
            // The text before the mark is a line of a test without its end.
            Some((_, fact)) => self.read_fact(fact),
            None => self.read_harness(line),
        }
        !is_repeated && !line.contains("@vm doctor")
    }

    /// Ends the transcript with the console of the kernel.
    pub(super) fn close(&mut self, console: &str) {
        self.end_running();
        if self.release.is_none() {
            self.trouble
                .push("it did not start its first program".to_owned());
        } else if !self.is_complete {
            self.trouble.push("it did not finish".to_owned());
        }
        for line in console.lines() {
            let has = |words: &str| words.split('|').any(|word| line.contains(word));
            // A soft lockup begins with `BUG:` too.
            self.has_stalled |= has(STALLED);
            if has(STALLED) || has(BROKEN) {
                self.trouble.push(format!("console: {}", line.trim()));
            }
        }
        let is_failed = |it: &(&String, &Outcome)| *it.1 == Outcome::Failed;
        let failed = self.outcomes.iter().filter(is_failed);
        let failed: Vec<_> = failed.map(|(name, _)| format!("{name} failed")).collect();
        self.trouble.splice(0..0, failed);
    }

    fn read_fact(&mut self, fact: &str) {
        let (word, rest) = fact.split_once(' ').unwrap_or((fact, ""));
        match word {
            "begin" => self.release = Some(rest.to_owned()),
            "doctor" => self.doctor = Some(rest.to_owned()),
            "measured" => self.measured = Some(rest.to_owned()),
            "end" => self.is_complete = true,
            "ran" => self.end_part(rest),
            "inapplicable" => {
                if let Some((name, why)) = rest.split_once(' ') {
                    let why = Outcome::Inapplicable(why.to_owned());
                    self.outcomes.insert(name.to_owned(), why);
                }
            }
            "error" => self.trouble.push(fact.to_owned()),
            _ => {}
        }
    }

    /// The end of a program with its status. The integration tests print the outcome of
    /// each test; any other program is a test itself.
    fn end_part(&mut self, part: &str) {
        let Some((name, status)) = part.rsplit_once(' ') else {
            return;
        };
        self.end_running();
        if name != "tests" {
            let is_good = status == "0";
            let outcome = if is_good {
                Outcome::Passed
            } else {
                Outcome::Failed
            };
            self.outcomes.insert(name.to_owned(), outcome);
        } else if status != "0" && self.outcomes.values().all(|it| *it == Outcome::Passed) {
            self.trouble.push(format!("the tests ended with {status}"));
        }
    }

    /// `test NAME ... ok`. Between these words a child may print a line, or the test that
    /// it is not applicable: then `FAILED` is on a line of its own.
    fn read_harness(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("test ")
            && let Some((name, _)) = test.split_once(" ... ")
        {
            self.running = Some(name.to_owned());
        }
        let outcome = if let Some((_, why)) = line.split_once(INAPPLICABLE) {
            Outcome::Inapplicable(why.to_owned())
        } else if line.ends_with("ok") {
            Outcome::Passed
        } else if line.ends_with("FAILED") {
            Outcome::Failed
        } else {
            return;
        };
        if let Some(test) = self.running.take() {
            self.outcomes.insert(test, outcome);
        }
    }

    /// A test that is still running has failed.
    fn end_running(&mut self) {
        if let Some(test) = self.running.take() {
            self.trouble.push(format!("{test} did not end"));
            self.outcomes.insert(test, Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, console: &str) -> Transcript {
        let mut transcript = Transcript::default();
        for line in text.lines() {
            transcript.read(line);
        }
        transcript.close(console);
        transcript
    }

    #[test]
    fn tests_and_programs_have_outcomes() {
        let text = "\
@vm begin 6.12.1
@vm run tests
test wait::a ... ok
test wait::b ... a child says this
FAILED
test wait::c ... NOT APPLICABLE: no tracing
FAILED
---- wait::c stdout ----
NOT APPLICABLE: no tracing
@vm ran tests 101
@vm inapplicable soak::bpf no tracing
@vm ran soak::poll 0
@vm end
";
        let transcript = read(text, "");
        let inapplicable = Outcome::Inapplicable("no tracing".to_owned());
        let expected = [
            ("soak::bpf", inapplicable.clone()),
            ("soak::poll", Outcome::Passed),
            ("wait::a", Outcome::Passed),
            ("wait::b", Outcome::Failed),
            ("wait::c", inapplicable),
        ];
        let expected = expected.map(|(name, outcome)| (name.to_owned(), outcome));
        assert_eq!(transcript.outcomes, expected.into());
        assert_eq!(transcript.release.as_deref(), Some("6.12.1"));
        assert_eq!(transcript.trouble, ["wait::b failed"]);
    }

    #[test]
    fn a_test_that_does_not_end_has_failed() {
        let transcript = read("@vm begin 5.10\ntest kill::a ... ", "");
        assert_eq!(transcript.outcomes["kill::a"], Outcome::Failed);
        assert!(transcript.trouble.contains(&"it did not finish".to_owned()));
    }

    #[test]
    fn defects_and_stalls_are_found_on_the_console() {
        let console = "[1.0] Linux version 6.12\n[3.0] BUG: kernel NULL pointer dereference\n\
                       [5.0] INFO: task probe:7 blocked for more than 120 seconds.\n";
        let transcript = read("@vm begin 6.12\n@vm end", console);
        assert!(transcript.trouble.len() == 2 && !transcript.has_stalled);
        let stalled = read("", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!");
        assert!(stalled.has_stalled);
    }
}
