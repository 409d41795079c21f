//! The results of all trials, by shape.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use probe_user::{model::Until, unstable::wait::WokenBy};

use crate::{plan::Shape, trial::Trial};

/// Wakers, in the order of the columns.
pub(crate) const WAKERS: [WokenBy; 5] = [
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
    /// Trials with a wait that ended with an allowed error.
    refused: usize,
    /// By condition: the verdicts, and those that are not exact.
    exactness: [(usize, usize); Until::ALL.len()],
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

    /// Displays how many verdicts are not exact.
    pub(crate) const fn exactness(&self) -> Exactness<'_> {
        Exactness(self)
    }

    pub(crate) fn sort(&mut self) {
        for row in self.rows.values_mut() {
            row.took.sort_unstable();
        }
    }
}

/// Needs [`Table::sort`] before.
impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            "trials", "verdicts", "wrong", "hung", "failed", "refused", "at once",
        ];
        let times = ["p50 ms", "p95 ms", "max ms"];
        write_line(f, "shape", &counts, &WAKERS.map(WokenBy::as_str), &times)?;
        let shapes = self.rows.iter().filter(|(shape, _)| shape.is_some());
        let sum = self.rows.iter().filter(|(shape, _)| shape.is_none());
        for (shape, row) in shapes.chain(sum) {
            let name = name(*shape);
            let times = [50, 95, 100].map(|percent| format!("{:.2}", row.percentile(percent)));
            write_line(f, &name, &row.counts(), &row.woken, &times)?;
        }
        Ok(())
    }
}

fn name(shape: Option<Shape>) -> String {
    shape.map_or_else(|| "all".to_owned(), Shape::name)
}

/// How many verdicts are not exact, by shape and condition.
pub(crate) struct Exactness<'a>(&'a Table);

impl Display for Exactness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12}", "not exact")?;
        for until in Until::ALL {
            write!(f, "{:>14}", until.as_str())?;
        }
        writeln!(f)?;
        for (shape, row) in &self.0.rows {
            write!(f, "{:<12}", name(*shape))?;
            for (verdicts, inexact) in row.exactness {
                write!(f, "{:>14}", format!("{inexact} of {verdicts}"))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn write_line(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    counts: &[impl Display],
    woken: &[impl Display],
    times: &[impl Display],
) -> fmt::Result {
    write!(f, "{name:<12}")?;
    counts.iter().try_for_each(|it| write!(f, "{it:>9}"))?;
    write!(f, " │")?;
    woken.iter().try_for_each(|it| write!(f, "{it:>10}"))?;
    write!(f, " │")?;
    times.iter().try_for_each(|it| write!(f, "{it:>9}"))?;
    writeln!(f)
}

impl Row {
    fn add(&mut self, trial: &Trial) {
        self.trials += 1;
        let Ok(outcome) = &trial.result else {
            self.failed += 1;
            return;
        };
        self.wrong += usize::from(!outcome.contradictions.is_empty());
        if outcome.is_refused {
            self.refused += 1;
            return;
        }
        let Some(met) = outcome.met else {
            self.hung += 1;
            return;
        };
        self.verdicts += 1;
        let until = Until::ALL.iter().position(|&it| it == trial.plan.until);
        if let Some((verdicts, inexact)) = until.and_then(|it| self.exactness.get_mut(it)) {
            *verdicts += 1;
            *inexact += usize::from(!met.exact);
        }
        self.took.push(outcome.took);
        match WAKERS.iter().position(|&it| Some(it) == met.woken_by) {
            Some(index) => self.woken[index] += 1,
            None => self.unwoken += 1,
        }
    }

    fn counts(&self) -> [usize; 7] {
        let Self {
            trials,
            verdicts,
            wrong,
            hung,
            failed,
            refused,
            unwoken,
            ..
        } = *self;
        [trials, verdicts, wrong, hung, failed, refused, unwoken]
    }

    /// A percentile of the times, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let index = self.took.len().saturating_sub(1) * percent / 100;
        let took = self.took.get(index);
        took.map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}
