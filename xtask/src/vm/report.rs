//! The results of all kernels of a run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::{
    kernel::{Kernel, Row},
    record::Record,
    transcript::{Outcome, Transcript},
};
use crate::table;

/// The results so far.
#[derive(Default)]
pub(super) struct Report<'a> {
    /// By the place of the kernel in the table.
    columns: BTreeMap<usize, Column<'a>>,
    /// Records are written, and not compared with those in `docs/kernels`.
    records: bool,
    /// Only some tests run, so the records keep their counts of tests.
    is_partial: bool,
    failed: BTreeSet<&'a str>,
    /// Notes about kernels that are missing and may be.
    missing: Vec<String>,
}

struct Column<'a> {
    name: &'a str,
    outcomes: BTreeMap<String, Outcome>,
    record: Option<Record>,
}

impl<'a> Report<'a> {
    pub(super) fn new(records: bool, is_partial: bool) -> Self {
        Self {
            records,
            is_partial,
            ..Self::default()
        }
    }

    /// The kernels of these rows. A missing kernel fails unless it may be missing, and the
    /// other kernels are run.
    pub(super) fn kernels(
        &mut self,
        rows: &'a [Row],
        may_miss: bool,
    ) -> Vec<(&'a Row<'a>, Kernel)> {
        let mut kernels = Vec::new();
        for row in rows {
            match Kernel::of(row) {
                Ok(kernel) => kernels.push((row, kernel)),
                Err(error) => {
                    eprintln!("MISSING: {}: {error:#}", row.name);
                    if may_miss {
                        let note = format!("NOT APPLICABLE: no kernel {}", row.name);
                        self.missing.push(note);
                    } else {
                        self.failed.insert(row.name);
                    }
                }
            }
        }
        kernels
    }

    /// Adds the runs of a kernel, one for each start with the words for its pid 1. `place`
    /// is its column in the table.
    pub(super) fn add(
        &mut self,
        place: usize,
        (row, kernel): (&'a Row<'a>, &Kernel),
        runs: Vec<(String, Transcript)>,
    ) -> Result<()> {
        let name = row.name;
        let (mut outcomes, mut record) = (BTreeMap::new(), None);
        for (words, run) in runs {
            if record.is_none() {
                record = Record::of(&kernel.package, &run)?;
            }
            for line in unmatched(&words, &run).iter().chain(&run.trouble) {
                println!("── {name}: {line}");
                self.failed.insert(name);
            }
            outcomes.extend(run.outcomes);
        }
        if let Some(record) = &mut record {
            record.count(&outcomes);
            if self.records {
                if self.is_partial {
                    record.keep_counts(name)?;
                }
                // At once, because the run may be stopped before its last kernel.
                record.write(name)?;
            }
        }
        let has_failed = self.failed.contains(name);
        let word = if has_failed { "FAILED" } else { "ok" };
        println!("── {name}: {word}, see target/vm/runs/{name}\n");
        let column = Column {
            name,
            outcomes,
            record,
        };
        self.columns.insert(place, column);
        Ok(())
    }

    /// Adds a kernel that could not be run.
    pub(super) fn fail(&mut self, row: &'a Row<'a>, error: &anyhow::Error) {
        println!("── {}: FAILED: {error:#}\n", row.name);
        self.failed.insert(row.name);
    }

    /// Prints the table; returns the notes of a run in which nothing failed.
    pub(super) fn finish(mut self) -> Result<String> {
        print!("\n{}", self.table());
        for line in &self.missing {
            println!("── {line}");
        }
        for Column { name, record, .. } in self.columns.values().filter(|_| !self.records) {
            let differences = record.as_ref().map(|it| it.differences(name)).transpose()?;
            for difference in differences.iter().flatten() {
                println!("── {name}: differs from docs/kernels: {difference}");
                self.failed.insert(name);
            }
        }
        let failed: Vec<_> = self.failed.into_iter().collect();
        ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
        Ok(self.missing.join("; "))
    }

    /// A line for each test, then the reasons of those that are not applicable.
    fn table(&self) -> String {
        let columns = || self.columns.values();
        let names: BTreeSet<_> = columns().flat_map(|it| it.outcomes.keys()).collect();
        let head = columns().map(|it| it.name.to_owned());
        let mut rows = vec![[String::new()].into_iter().chain(head).collect()];
        let mut reasons = BTreeSet::new();
        for name in names {
            let mut cells = vec![name.clone()];
            for column in columns() {
                cells.push(String::from(match column.outcomes.get(name) {
                    None => "-",
                    Some(Outcome::Passed) => "ok",
                    Some(Outcome::Failed) => "FAILED",
                    Some(Outcome::Inapplicable(why)) => {
                        reasons.insert(format!("n/a on {}: {why}\n", column.name));
                        "n/a"
                    }
                }));
            }
            rows.push(cells);
        }
        table::aligned(&rows) + &reasons.into_iter().collect::<String>()
    }
}

/// Filters that are in no test's name: otherwise a misspelled filter would pass.
fn unmatched(words: &str, run: &Transcript) -> Vec<String> {
    let mut filters = words
        .split(' ')
        .filter_map(|it| it.strip_prefix("probe.tests="));
    let filters = filters
        .next()
        .unwrap_or("*")
        .split(',')
        .filter(|it| *it != "*");
    let is_unmatched = |it: &&str| !run.outcomes.keys().any(|name| name.contains(it));
    let error = |it| format!("no test has {it} in its name");
    filters.filter(is_unmatched).map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_did_not_run_is_not_shown_as_passed() {
        let mut report = Report::default();
        let why = Outcome::Inapplicable("no tracing".to_owned());
        for (place, name, outcomes) in [
            (0, "7.3", vec![("a", Outcome::Failed)]),
            (1, "UML", vec![("a", Outcome::Passed), ("b", why)]),
        ] {
            let outcomes = outcomes.into_iter().map(|(name, it)| (name.to_owned(), it));
            let (outcomes, record) = (outcomes.collect(), None);
            report.columns.insert(
                place,
                Column {
                    name,
                    outcomes,
                    record,
                },
            );
        }
        let expected = "   7.3     UML\na  FAILED  ok\nb  -       n/a\nn/a on UML: no tracing\n";
        assert_eq!(report.table(), expected);
    }
}
