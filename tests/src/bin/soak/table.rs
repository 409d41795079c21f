//! The results of all trials, by shape.

use std::{collections::BTreeMap, fmt, time::Duration};

use probe_user::unstable::wait::WokenBy;

use crate::{plan::Shape, trial::Trial};

/// Wakers, in the order of the columns.
const WAKERS: [WokenBy; 5] = [
    WokenBy::Ring,
    WokenBy::Events,
    WokenBy::Pidfd,
    WokenBy::Directory,
    WokenBy::Timer,
];

/// Counts of a row.
#[derive(Default)]
struct Row {
    trials: usize,
    verdicts: usize,
    wrong: usize,
    hung: usize,
    /// Trials that failed for another reason than the wait.
    failed: usize,
    /// Verdicts without a wake-up, at the first look.
    unwoken: usize,
    woken: [usize; WAKERS.len()],
    took: Vec<Duration>,
}

/// Results by shape; the key `None` is the sum.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<Option<Shape>, Row>,
}

impl Table {
    pub(crate) fn add(&mut self, trial: &Trial) {
        for key in [Some(trial.plan.shape), None] {
            self.rows.entry(key).or_default().add(trial);
        }
    }

    fn sum(&self) -> Option<&Row> {
        self.rows.get(&None)
    }

    pub(crate) fn trials(&self) -> usize {
        self.sum().map_or(0, |row| row.trials)
    }

    /// Whether every trial had a right verdict.
    pub(crate) fn is_clean(&self) -> bool {
        self.sum()
            .is_some_and(|row| row.wrong + row.hung + row.failed == 0)
    }

    pub(crate) fn sort(&mut self) {
        for row in self.rows.values_mut() {
            row.took.sort_unstable();
        }
    }
}

/// Needs [`Table::sort`] before.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<12}{:>8}{:>9}{:>6}{:>6}{:>7} │{:>8}",
            "shape", "trials", "verdicts", "wrong", "hung", "failed", "at once"
        )?;
        for waker in WAKERS {
            write!(f, "{:>10}", waker.as_str())?;
        }
        writeln!(f, " │{:>9}{:>9}{:>9}  ms", "p50", "p95", "max")?;
        for (shape, row) in self.rows.iter().filter(|(shape, _)| shape.is_some()) {
            let shape = shape.map_or_else(String::new, |it| format!("{it:?}"));
            writeln!(f, "{:<12}{row}", shape.to_lowercase())?;
        }
        match self.sum() {
            Some(sum) => writeln!(f, "{:<12}{sum}", "all"),
            None => Ok(()),
        }
    }
}

impl Row {
    fn add(&mut self, trial: &Trial) {
        self.trials += 1;
        let Ok(outcome) = &trial.result else {
            self.failed += 1;
            return;
        };
        self.wrong += usize::from(!outcome.contradictions.is_empty());
        let Some(met) = outcome.met else {
            self.hung += 1;
            return;
        };
        self.verdicts += 1;
        self.took.push(outcome.took);
        match WAKERS.iter().position(|&it| Some(it) == met.woken_by) {
            Some(index) => self.woken[index] += 1,
            None => self.unwoken += 1,
        }
    }

    /// A percentile of the times, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let index = self.took.len().saturating_sub(1) * percent / 100;
        let took = self.took.get(index);
        took.map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8}{:>9}{:>6}{:>6}{:>7} │{:>8}",
            self.trials, self.verdicts, self.wrong, self.hung, self.failed, self.unwoken
        )?;
        for woken in self.woken {
            write!(f, "{woken:>10}")?;
        }
        f.write_str(" │")?;
        for percent in [50, 95, 100] {
            write!(f, "{:>9.2}", self.percentile(percent))?;
        }
        Ok(())
    }
}
