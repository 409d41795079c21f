//! `cargo xtask vm`: the integration tests and the soak on other kernels, each
//! in a virtual machine.
//!
//! The kernels are Debian's, the machine is QEMU without hardware support, so
//! that it works in a virtual machine too, and what runs inside is one archive
//! with our programs and the few tools that the tests call. Pid 1 there is
//! `tests/src/bin/init.rs`.

mod build;
mod console;
mod cpio;
mod guest;
mod initramfs;
mod kernel;
mod qemu;
mod row;
mod support;
mod table;
mod transcript;

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use self::{
    console::Finding,
    guest::{Guest, Run},
    kernel::{Catalogue, Kernel},
    qemu::Qemu,
    row::{Machine, ROWS, Row},
    support::Support,
    table::Table,
    transcript::Outcome,
};

/// The tests and the soak on other kernels, in virtual machines
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// Only these kernels; --list tells their names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    kernel: Vec<String>,

    /// Only tests whose names contain one of these; * is all
    #[arg(long, value_name = "FILTER", num_args = 1..)]
    test: Vec<String>,

    /// Trials of the soak on each backend; 0 leaves it out
    #[arg(long, default_value_t = 50)]
    trials: u32,

    /// Show the kernels and do nothing
    #[arg(long)]
    list: bool,

    /// A shell on one kernel in place of the tests
    #[arg(long, requires = "kernel")]
    shell: bool,

    /// Go on without kernels that cannot be had
    #[arg(long)]
    allow_missing: bool,

    /// Write docs/kernels.md and the reports of the doctor that it is made of
    #[arg(long, conflicts_with = "kernel")]
    record: bool,

    /// Minutes that a machine may take
    #[arg(long, default_value_t = 30)]
    minutes: u32,
}

/// What depends on the kernel most: how processes end, and what tells of it.
const FILTERS: [&str; 7] = [
    "backends::",
    "exits::",
    "kill::",
    "library::",
    "races::",
    "targets::",
    "wait::",
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let rows = rows(args)?;
    if args.list {
        for row in rows {
            println!("{:<7} {:<43} {}", row.name, row.package, row.purpose);
        }
        return Ok(());
    }
    let mut matrix = Matrix::default();
    let kernels = matrix.kernels(&rows, args.allow_missing);
    let qemu = kernels
        .iter()
        .any(|(row, _)| row.machine == Machine::Qemu)
        .then(Qemu::find_or_install)
        .transpose()?;
    let initramfs = initramfs::pack(&build::build()?)?;
    let words = words(args);
    for (row, kernel) in &kernels {
        let guest = Guest {
            row,
            kernel,
            qemu,
            initramfs: &initramfs,
            words: &words,
            seconds: args.minutes * 60,
        };
        if args.shell {
            return guest.shell();
        }
        matrix.run(&guest)?;
    }
    matrix.finish(args.record)
}

fn rows(args: &Args) -> Result<Vec<&'static Row>> {
    for name in &args.kernel {
        if ROWS.iter().all(|row| row.name != name) {
            bail!("no kernel {name}: --list shows them");
        }
    }
    let is_wanted =
        |row: &&Row| args.kernel.is_empty() || args.kernel.iter().any(|it| it == row.name);
    Ok(ROWS.iter().filter(is_wanted).collect())
}

fn words(args: &Args) -> String {
    if args.shell {
        return "probe.shell".to_owned();
    }
    let filters = if args.test.is_empty() {
        FILTERS.join(",")
    } else {
        args.test.join(",")
    };
    let soak = match args.trials {
        0 => String::new(),
        trials => format!(" probe.soak={trials}"),
    };
    format!("probe.tests={filters}{soak}")
}

/// All kernels of one run of the command.
#[derive(Default)]
struct Matrix {
    table: Table,
    reports: Vec<(&'static str, String)>,
    failed: Vec<&'static str>,
}

impl Matrix {
    /// A kernel that cannot be had has failed, but the others are run.
    fn kernels(
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
                    if !allow_missing {
                        self.failed.push(row.name);
                    }
                }
            }
        }
        kernels
    }

    /// Runs one. Once more only if the machine itself did not come so far or did
    /// not get on: a test that failed has failed.
    fn run(&mut self, guest: &Guest) -> Result<()> {
        let name = guest.row.name;
        println!(
            "── {name}: {} ({})",
            guest.kernel.package, guest.row.purpose
        );
        let begun = Instant::now();
        let mut run = guest.run()?;
        if run.transcript.release.is_none() || run.has_stalled() {
            println!("── {name}: {}: once more", run.trouble().join("; "));
            run = guest.run()?;
        }
        let trouble = run.trouble();
        for line in &trouble {
            println!("── {name}: {line}");
        }
        let word = if trouble.is_empty() { "ok" } else { "FAILED" };
        println!(
            "── {name}: {word} in {:.0} s; {}\n",
            begun.elapsed().as_secs_f64(),
            run.directory.display()
        );
        if !trouble.is_empty() {
            self.failed.push(name);
        }
        self.table.add(name, run.transcript.outcomes);
        self.reports
            .extend(run.transcript.doctor.map(|report| (name, report)));
        Ok(())
    }

    fn finish(self, record: bool) -> Result<()> {
        print!("\n{}", self.table);
        if record {
            let mut support = Support::default();
            for (name, report) in &self.reports {
                support.add(name, report)?;
            }
            support.write()?;
        }
        ensure!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
        Ok(())
    }
}

impl Run {
    fn has_stalled(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| matches!(finding, Finding::Stalled(_)))
    }

    /// All that is wrong.
    fn trouble(&self) -> Vec<String> {
        let transcript = &self.transcript;
        let mut trouble: Vec<String> = transcript
            .outcomes
            .iter()
            .filter(|(_, outcome)| **outcome == Outcome::Failed)
            .map(|(name, _)| format!("{name} failed"))
            .collect();
        let errors = transcript.notes.iter();
        trouble.extend(errors.filter(|it| it.starts_with("error")).cloned());
        if transcript.release.is_none() {
            trouble.push("it never came to its first program".to_owned());
        } else if !transcript.is_whole {
            trouble.push("it did not come to its end".to_owned());
        }
        trouble.extend(self.findings.iter().map(|finding| match finding {
            Finding::Broken(line) | Finding::Stalled(line) => format!("console: {line}"),
        }));
        trouble
    }
}
