//! Rounds: the compared programs are measured in turn, so that other work of the machine
//! affects all of them, and each subject lies between two baselines.

use std::{thread, time::Duration};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity};

use super::stats::Estimate;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) is_quick: bool,
    pub(crate) rounds: usize,
}

impl Extent {
    /// A quick run shows a difference by a factor, but not one of a few percent.
    pub(crate) const fn new(is_quick: bool) -> Self {
        let rounds = if is_quick { 5 } else { 20 };
        Self { is_quick, rounds }
    }
}

/// A subject between two baselines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sandwich<T> {
    pub(crate) before: T,
    pub(crate) subject: T,
    pub(crate) after: T,
}

impl<T> Sandwich<T> {
    pub(crate) fn measure(
        baseline: impl Fn() -> Result<T>,
        subject: impl FnOnce() -> Result<T>,
    ) -> Result<Self> {
        Ok(Self {
            before: baseline()?,
            subject: subject()?,
            after: baseline()?,
        })
    }

    fn baseline(&self, of: impl Fn(&T) -> f64) -> f64 {
        f64::midpoint(of(&self.before), of(&self.after))
    }

    /// The subject in units of the baselines.
    pub(crate) fn ratio(&self, of: impl Fn(&T) -> f64) -> f64 {
        of(&self.subject) / self.baseline(of)
    }

    pub(crate) fn excess(&self, of: impl Fn(&T) -> f64) -> f64 {
        of(&self.subject) - self.baseline(of)
    }

    /// The ratio of the two baselines, which is the ratio when nothing differs.
    pub(crate) fn noise(&self, of: impl Fn(&T) -> f64) -> f64 {
        of(&self.after) / of(&self.before)
    }
}

pub(crate) fn median<T>(rounds: &[T], of: impl Fn(&T) -> f64) -> Estimate {
    Estimate::median(&rounds.iter().map(of).collect::<Vec<_>>())
}

/// Runs the rounds and shows the progress.
pub(crate) fn run<T>(
    name: &str,
    count: usize,
    mut round: impl FnMut() -> Result<T>,
) -> Result<Vec<T>> {
    let run = |number| {
        eprintln!("{name}: round {number} of {count}");
        round().with_context(|| format!("{name}, round {number}"))
    };
    (1..=count).map(run).collect()
}

/// The CPU that the load is pinned to: the last one, because the first ones have the
/// interrupts. The measured programs run where the scheduler puts them, as for a user.
pub(crate) fn load_cpu() -> Result<usize> {
    let allowed = sched_getaffinity(None).context("read the allowed CPUs")?;
    let mut cpus = (0..CpuSet::MAX_CPU).rev();
    cpus.find(|&cpu| allowed.is_set(cpu))
        .context("no CPU allowed")
}

/// Lets a stretch of time pass that is itself measured.
#[expect(
    clippy::disallowed_methods,
    reason = "the length of the stretch is measured"
)]
pub(crate) fn pause(length: Duration) {
    thread::sleep(length);
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_compared_with_the_baselines_around_it() {
        let round = Sandwich {
            before: 8.0,
            subject: 15.0,
            after: 12.0,
        };
        assert_eq!(round.ratio(|&value| value), 1.5);
        assert_eq!(round.excess(|&value| value), 5.0);
        assert_eq!(round.noise(|&value| value), 1.5);
    }

    #[test]
    fn an_error_names_its_round() {
        let mut results = vec![Err(anyhow::anyhow!("no")), Ok(())];
        let result = run("cost", 3, || results.pop().expect("another round"));
        let error = result.expect_err("the second round fails");
        assert_eq!(format!("{error:#}"), "cost, round 2: no");
    }
}
