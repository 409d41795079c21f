//! The numbers of tests in the output of the test harness.

use std::{fmt, ops::AddAssign};

/// The text of a test that does not apply to the machine (`tests/src/applicable.rs`).
const INAPPLICABLE: &str = "NOT APPLICABLE: ";

/// The words of the table, in the order of the numbers.
const WORDS: [&str; 5] = [
    "passed",
    "FAILED",
    "NOT APPLICABLE",
    "ignored",
    "filtered out",
];

/// The number of tests for each of [`WORDS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally([u32; WORDS.len()]);

impl Tally {
    /// The sums of the `test result:` lines of an output. The harness counts a test that
    /// is not applicable as failed.
    pub(super) fn of(output: &str) -> Self {
        let [
            mut passed,
            mut failed,
            mut inapplicable,
            mut ignored,
            mut filtered,
        ] = [0; 5];
        let mut is_failure = false;
        for line in output.lines() {
            if line.starts_with("---- ") && line.ends_with(" stdout ----") {
                is_failure = true;
            } else if is_failure && line.starts_with(INAPPLICABLE) {
                inapplicable += 1;
                is_failure = false;
            }
            let mut number = 0;
            let result = line.strip_prefix("test result: ").unwrap_or_default();
            for word in result.split([' ', ';']) {
                match word {
                    "passed" => passed += number,
                    "failed" => failed += number,
                    "ignored" => ignored += number,
                    "filtered" => filtered += number,
                    word => number = word.parse().unwrap_or(0),
                }
            }
        }
        failed -= inapplicable.min(failed);
        Self([passed, failed, inapplicable, ignored, filtered])
    }

    /// Whether a command failed only because of tests that are not applicable.
    pub(super) fn excuses(&self, output: &str) -> bool {
        let count = |start| output.lines().filter(|it| it.starts_with(start)).count();
        let all_ended = count("running ") == count("test result: ");
        all_ended && self.0[1] == 0 && self.0[2] > 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (sum, number) in self.0.iter_mut().zip(other.0) {
            *sum += number;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0[0], WORDS[0])?;
        for (number, word) in self.0.iter().zip(WORDS).skip(1).filter(|(it, _)| **it > 0) {
            write!(f, ", {number} {word}")?;
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
        let expected = "13 passed, 2 FAILED, 3 ignored, 1 filtered out";
        assert_eq!(Tally::of(OUTPUT).to_string(), expected);
        let nothing = Tally::of("error: could not compile");
        assert_eq!(nothing.to_string(), "0 passed");
    }

    #[test]
    fn a_test_that_is_not_applicable_does_not_fail_the_run() {
        let output = "\
running 3 tests
---- a stdout ----
NOT APPLICABLE: no curl
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let tally = Tally::of(output);
        assert_eq!(tally.to_string(), "1 passed, 1 NOT APPLICABLE, 1 ignored");
        assert!(tally.excuses(output));
        assert!(!tally.excuses(&format!("{output}running 2 tests\n")));
        assert!(!Tally::of(OUTPUT).excuses(OUTPUT));
    }
}
