//! What became of each kernel of one run of the command.

use anyhow::{Result, ensure};

use super::{
    guest::Run,
    kernel::{Catalogue, Kernel},
    machines::Ended,
    row::Row,
    support::Support,
    table::Table,
};

/// See the module.
#[derive(Default)]
pub(super) struct Matrix<'a> {
    table: Table<'a>,
    support: Support<'a>,
    /// What is found out is kept, and not compared with what is.
    records: bool,
    failed: Vec<&'a str>,
    /// Kernels that could not be had and need not.
    left_out: Vec<String>,
}

impl<'a> Matrix<'a> {
    pub(super) fn new(records: bool) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// A kernel that cannot be had has failed, but the others are run.
    pub(super) fn kernels(
        &mut self,
        rows: &'a [Row<'a>],
        allow_missing: bool,
    ) -> Vec<(&'a Row<'a>, Kernel)> {
        let mut catalogue = Catalogue::default();
        let mut kernels = Vec::new();
        for row in rows {
            match catalogue.kernel(row) {
                Ok(kernel) => kernels.push((row, kernel)),
                Err(error) => {
                    eprintln!("MISSING: {}: {error:#}", row.name);
                    if allow_missing {
                        let note = format!("NOT APPLICABLE: {} cannot be had", row.name);
                        self.left_out.push(note);
                    } else {
                        self.failed.push(row.name);
                    }
                }
            }
        }
        kernels
    }

    /// A row that has come to its end.
    pub(super) fn add(&mut self, ended: Ended<'a>) -> Result<()> {
        let name = ended.row.name;
        for (words, run) in ended.runs {
            let mut trouble = run.trouble();
            trouble.extend(unmatched(&words, &run));
            for line in &trouble {
                println!("── {name}: {line}");
            }
            if !trouble.is_empty() {
                println!("── {name}: see {}", run.directory.display());
                self.fail(name);
            }
            self.support
                .add(name, &ended.kernel.package, &run.transcript)?;
            self.table.add(name, run.transcript.outcomes);
        }
        if ended.is_cut_short {
            println!("── {name}: NO TIME WAS LEFT FOR ALL OF IT");
            self.fail(name);
        }
        if self.records {
            // At once: a run may be ended before its last row.
            self.support.write()?;
        }
        let has_failed = self.failed.contains(&name);
        let word = if has_failed { "FAILED" } else { "ok" };
        println!("── {name}: {word} in {} s\n", ended.took.as_secs());
        Ok(())
    }

    fn fail(&mut self, name: &'a str) {
        if !self.failed.contains(&name) {
            self.failed.push(name);
        }
    }

    /// Shows the table; says what is to be known of a run in which nothing failed.
    pub(super) fn finish(mut self) -> Result<String> {
        print!("\n{}", self.table);
        for line in &self.left_out {
            println!("── {line}");
        }
        if !self.records {
            for (name, difference) in self.support.differences()? {
                println!("── {name}: not what docs/kernels says: {difference}");
                self.fail(name);
            }
        }
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        Ok(self.left_out.join("; "))
    }
}

/// Filters that no test's name contains: a misspelled one would pass.
fn unmatched(words: &str, run: &Run) -> Vec<String> {
    let names = || run.transcript.outcomes.keys();
    words
        .split(' ')
        .filter_map(|word| word.strip_prefix("probe.tests="))
        .flat_map(|filters| filters.split(','))
        .filter(|filter| *filter != "*" && !names().any(|name| name.contains(filter)))
        .map(|filter| format!("no test was run whose name contains {filter}"))
        .collect()
}
