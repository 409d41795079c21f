//! Interleaving: what is compared is measured in turns, so that whatever else
//! the machine does falls on both sides, and each turn with the subject lies
//! between two without it.

use std::{io::IsTerminal, thread, time::Duration};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity};

use super::stats::Estimate;

/// Rounds of a full run.
pub(crate) const FULL: usize = 20;
/// Rounds of `--quick`: enough to see a factor, not a percent.
pub(crate) const QUICK: usize = 5;

/// One round, A/B/A.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sandwich<T> {
    pub(crate) before: T,
    pub(crate) subject: T,
    pub(crate) after: T,
}

impl<T> Sandwich<T> {
    pub(crate) fn map<U>(self, to: impl Fn(T) -> U) -> Sandwich<U> {
        Sandwich {
            before: to(self.before),
            subject: to(self.subject),
            after: to(self.after),
        }
    }

    fn baseline(&self, of: impl Fn(&T) -> f64) -> f64 {
        f64::midpoint(of(&self.before), of(&self.after))
    }

    /// The subject in units of the baseline around it.
    pub(crate) fn ratio(&self, of: impl Fn(&T) -> f64) -> f64 {
        of(&self.subject) / self.baseline(of)
    }

    /// The subject without the baseline around it.
    pub(crate) fn excess(&self, of: impl Fn(&T) -> f64) -> f64 {
        of(&self.subject) - self.baseline(of)
    }

    /// The two baselines against each other: what a ratio is when nothing
    /// differs.
    pub(crate) fn noise(&self, of: impl Fn(&T) -> f64) -> f64 {
        of(&self.after) / of(&self.before)
    }
}

/// The median of what each round says.
pub(crate) fn median<T>(rounds: &[T], of: impl Fn(&T) -> f64) -> Estimate {
    Estimate::median(&rounds.iter().map(of).collect::<Vec<_>>())
}

/// Runs the rounds and tells how far they are.
pub(crate) fn run<T>(
    what: &str,
    count: usize,
    mut round: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<T>> {
    let shows_each = std::io::stderr().is_terminal();
    if !shows_each {
        eprintln!("{what}: {count} rounds");
    }
    let mut results = Vec::with_capacity(count);
    for number in 0..count {
        if shows_each {
            eprint!("\r\x1b[K{what}: round {} of {count}", number + 1);
        }
        let result = round(number);
        results.push(result.with_context(|| format!("{what}, round {}", number + 1))?);
    }
    if shows_each {
        eprint!("\r\x1b[K");
    }
    Ok(results)
}

/// The CPU that the load is pinned to: the last one, since the first ones have
/// the interrupts. What is measured runs where the scheduler wants it, as it
/// does for a user.
pub(crate) fn load_cpu() -> Result<usize> {
    let allowed = sched_getaffinity(None).context("read the allowed CPUs")?;
    (0..CpuSet::MAX_CPU)
        .rev()
        .find(|&cpu| allowed.is_set(cpu))
        .context("no CPU allowed")
}

/// Lets a stretch of time pass that is itself measured.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for: the length is the point"
)]
pub(crate) fn window(length: Duration) {
    thread::sleep(length);
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    const ROUND: Sandwich<f64> = Sandwich {
        before: 8.0,
        subject: 15.0,
        after: 12.0,
    };

    #[test]
    fn a_subject_is_compared_with_both_its_neighbours() {
        assert_eq!(ROUND.ratio(|&value| value), 1.5);
        assert_eq!(ROUND.excess(|&value| value), 5.0);
        assert_eq!(ROUND.noise(|&value| value), 1.5);
    }

    #[test]
    fn a_round_that_fails_is_named() {
        let failed = run("cost", 3, |number| {
            anyhow::ensure!(number < 1, "no");
            Ok(number)
        });
        let error = failed.expect_err("the second round fails");
        assert_eq!(format!("{error:#}"), "cost, round 2: no");
    }
}
