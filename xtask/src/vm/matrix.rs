//! All kernels of one run of the command, one after the other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    guest::{Guest, Run},
    initramfs::Initramfs,
    kernel::{Catalogue, Kernel},
    qemu::Qemu,
    row::Row,
    support::Support,
    table::Table,
};

/// What runs on a kernel: the words that its pid 1 is told, once for each start
/// of the machine.
pub(super) type Plan<'a> = dyn Fn(&Row) -> Vec<String> + 'a;

/// See the module.
pub(super) struct Matrix {
    /// A machine may take so long.
    pub(super) limit: Duration,
    /// Nothing is begun after that, and what runs then is ended.
    pub(super) end: Option<Instant>,
    pub(super) qemu: Option<Qemu>,
    table: Table,
    support: Support,
    failed: Vec<&'static str>,
    /// Kernels that could not be had and need not.
    left_out: Vec<String>,
}

impl Matrix {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            end: None,
            qemu: None,
            table: Table::default(),
            support: Support::default(),
            failed: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// A kernel that cannot be had has failed, but the others are run.
    pub(super) fn kernels(
        &mut self,
        rows: &[&'static Row],
        allow_missing: bool,
    ) -> Vec<(&'static Row, Kernel)> {
        let mut catalogue = Catalogue::default();
        let mut kernels = Vec::new();
        for row in rows {
            match catalogue.kernel(row) {
                Ok(kernel) => kernels.push((*row, kernel)),
                Err(error) => {
                    eprintln!("MISSING: {}: {error:#}", row.name);
                    if allow_missing {
                        self.left_out
                            .push(format!("{} CANNOT BE HAD: {error:#}", row.name));
                    } else {
                        self.failed.push(row.name);
                    }
                }
            }
        }
        kernels
    }

    /// Runs all of them to their ends.
    pub(super) fn run(
        &mut self,
        kernels: &[(&'static Row, Kernel)],
        initramfs: &Initramfs,
        plan: &Plan,
    ) -> Result<()> {
        for (index, (row, kernel)) in kernels.iter().enumerate() {
            let (number, all) = (index + 1, kernels.len());
            let (name, package) = (row.name, &kernel.package);
            println!("── {name}: {number} of {all}: {package} ({})", row.purpose);
            let begun = Instant::now();
            for (start, words) in plan(row).iter().enumerate() {
                let Some(seconds) = self.seconds() else {
                    println!("── {name}: NO TIME IS LEFT FOR IT");
                    self.fail(name);
                    break;
                };
                self.start(&Guest {
                    row,
                    kernel,
                    qemu: self.qemu,
                    initramfs,
                    start,
                    words,
                    seconds,
                })?;
            }
            let word = if self.failed.contains(&name) {
                "FAILED"
            } else {
                "ok"
            };
            let took = begun.elapsed().as_secs();
            println!("── {name}: {word} in {took} s\n");
        }
        Ok(())
    }

    /// What the next machine may take.
    fn seconds(&self) -> Option<u64> {
        let left = self
            .end
            .map(|end| end.saturating_duration_since(Instant::now()));
        let seconds = left.map_or(self.limit, |left| left.min(self.limit));
        Some(seconds.as_secs()).filter(|seconds| *seconds > 0)
    }

    fn fail(&mut self, name: &'static str) {
        if !self.failed.contains(&name) {
            self.failed.push(name);
        }
    }

    /// Starts one. Once more only if the machine itself did not come so far or did
    /// not get on: a test that failed has failed.
    fn start(&mut self, guest: &Guest) -> Result<()> {
        let name = guest.row.name;
        let mut run = guest.run()?;
        if run.transcript.release.is_none() || run.has_stalled() {
            println!("── {name}: {}: once more", run.trouble().join("; "));
            run = guest.run()?;
        }
        let mut trouble = run.trouble();
        trouble.extend(unmatched(guest.words, &run));
        for line in &trouble {
            println!("── {name}: {line}");
        }
        if !trouble.is_empty() {
            println!("── {name}: see {}", run.directory.display());
            self.fail(name);
        }
        self.support
            .add(name, &guest.kernel.package, &run.transcript)?;
        self.table.add(name, run.transcript.outcomes);
        Ok(())
    }

    /// Shows the table; says what is to be known of a run in which nothing failed.
    pub(super) fn finish(mut self, record: bool) -> Result<String> {
        print!("\n{}", self.table);
        for line in &self.left_out {
            println!("── {line}");
        }
        if record {
            self.support.write()?;
        } else {
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
