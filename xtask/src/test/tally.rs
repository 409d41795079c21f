//! What the test harness says that it did.

use std::{fmt, ops::AddAssign};

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u32,
    failed: u32,
    ignored: u32,
    filtered_out: u32,
}

impl Tally {
    /// Summed over the `test result:` lines of an output.
    pub(super) fn of(output: &str) -> Self {
        let mut tally = Self::default();
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
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.filtered_out += other.filtered_out;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed", self.passed)?;
        for (number, word) in [
            (self.failed, "FAILED"),
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
    fn nothing_that_ran_is_nothing_that_passed() {
        assert_eq!(
            Tally::of("error: could not compile").to_string(),
            "0 passed"
        );
    }
}
