//! What the test harness says that it did.

use std::{fmt, ops::AddAssign};

/// How a test says that it has no meaning here (`tests/src/applicable.rs`).
const INAPPLICABLE: &str = "NOT APPLICABLE: ";

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u32,
    failed: u32,
    inapplicable: u32,
    ignored: u32,
    filtered_out: u32,
}

impl Tally {
    /// Summed over the `test result:` lines of an output. A test that says so of itself
    /// is not applicable and no failure.
    pub(super) fn of(output: &str) -> Self {
        let mut tally = Self::default();
        let mut is_failure = false;
        for line in output.lines() {
            if line.starts_with("---- ") && line.ends_with(" stdout ----") {
                is_failure = true;
            } else if is_failure && line.starts_with(INAPPLICABLE) {
                tally.inapplicable += 1;
                is_failure = false;
            }
        }
        for line in output
            .lines()
            .filter(|line| line.starts_with("test result: "))
        {
            let mut number = 0;
            for word in line.split([' ', ';']) {
                match word {
                    "passed" => tally.passed += number,
                    "failed" => tally.failed += number,
                    "ignored" => tally.ignored += number,
                    "filtered" => tally.filtered_out += number,
                    word => number = word.parse().unwrap_or(0),
                }
            }
        }
        tally.failed = tally.failed.saturating_sub(tally.inapplicable);
        tally
    }

    /// Whether a command that failed did so because of nothing but tests that are not
    /// applicable.
    pub(super) fn excuses(&self, output: &str) -> bool {
        let count = |start| output.lines().filter(|it| it.starts_with(start)).count();
        let all_ended = count("running ") == count("test result: ");
        all_ended && self.failed == 0 && self.inapplicable > 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.inapplicable += other.inapplicable;
        self.ignored += other.ignored;
        self.filtered_out += other.filtered_out;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        for (number, word) in [
            (self.failed, "FAILED"),
            (self.inapplicable, "NOT APPLICABLE"),
            (self.ignored, "ignored"),
            (self.filtered_out, "filtered out"),
        ] {
            if number > 0 {
                write!(f, ", {number} {word}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 2 tests
test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 1 filtered out; finished in 0.02s
test prints ... test result: 9 passed
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn the_results_of_all_test_binaries_add_up() {
        assert_eq!(
            Tally::of(OUTPUT).to_string(),
            "13 passed, 2 FAILED, 3 ignored, 1 filtered out"
        );
    }

    #[test]
    fn a_test_that_is_not_applicable_does_not_fail_the_run() {
        let output = "\
running 3 tests
test a ... NOT APPLICABLE: no curl
FAILED
test b ... ok

failures:

---- a stdout ----

thread 'a' panicked at tests/src/applicable.rs:23:5:
NOT APPLICABLE: no curl

failures:
    a

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let tally = Tally::of(output);
        assert_eq!(tally.to_string(), "1 passed, 1 NOT APPLICABLE, 1 ignored");
        assert!(tally.excuses(output));
        assert!(!tally.excuses(&format!("{output}running 2 tests\n")));
        assert!(!Tally::of(OUTPUT).excuses(OUTPUT));
    }

    #[test]
    fn nothing_that_ran_is_nothing_that_passed() {
        assert_eq!(
            Tally::of("error: could not compile").to_string(),
            "0 passed"
        );
    }
}
