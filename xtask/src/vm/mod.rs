//! `cargo xtask vm`: the integration tests and the soak on other kernels, each in a
//! virtual machine.
//!
//! The kernels are Debian's. The machine is QEMU without hardware support, so that it works
//! in a virtual machine too. A guest runs from an archive with our programs and the few
//! tools that the tests call; its pid 1 is `tests/src/bin/init.rs`.

mod guest;
mod initramfs;
mod kernel;
mod record;
mod report;
mod transcript;

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread::{self, available_parallelism},
};

use anyhow::{Result, ensure};
use clap::ArgGroup;

use self::{
    guest::{Guest, Qemu},
    initramfs::{Initramfs, Programs},
    kernel::{Kernel, Row},
    report::Report,
    transcript::Transcript,
};
use crate::setup;

/// The tests and the soak on other kernels, in virtual machines
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("named").args(["kernel", "image"]).multiple(true))]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// Only these kernels; --list shows their names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    kernel: Vec<String>,

    /// Kernels that --list does not show, and only they without --kernel: files that x86
    /// boots, such as /boot/vmlinuz-*, with their drivers and a serial console built in
    #[arg(long, value_name = "FILE", num_args = 1..)]
    image: Vec<PathBuf>,

    /// Only tests with one of these in their names
    #[arg(long, value_name = "FILTER", num_args = 1..)]
    test: Vec<String>,

    /// Trials of the soak on each kernel, shared by the backends that work there; 0 leaves
    /// it out
    #[arg(long, default_value_t = 300)]
    trials: u32,

    /// The seed of the soak on every kernel; by default each kernel has its own
    #[arg(long)]
    seed: Option<u64>,

    /// The subset that `cargo xtask test` runs, with the programs that it builds
    #[arg(long, conflicts_with_all = ["named", "test", "shell", "record"])]
    quick: bool,

    /// Show the kernels and do nothing
    #[arg(long)]
    list: bool,

    /// A shell on one kernel in place of the tests
    #[arg(long, requires = "named")]
    shell: bool,

    /// Go on without kernels that cannot be downloaded
    #[arg(long)]
    allow_missing: bool,

    /// Write docs/kernels, and the table that is made of it
    ///
    /// With --test the records keep the numbers of tests of the last run of all tests.
    #[arg(long, conflicts_with = "image")]
    record: bool,

    /// Machines at once; by default as many as there are CPUs
    #[arg(long, short)]
    jobs: Option<NonZeroUsize>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let rows = rows(args)?;
    if args.list {
        for row in rows {
            println!("{:<13} {:<43} {}", row.name, row.package(), row.purpose);
        }
        return Ok(());
    }
    if args.quick {
        return test().map(drop);
    }
    let mut report = Report::new(args.record, !args.test.is_empty());
    let kernels = report.kernels(&rows, args.allow_missing);
    if kernels.is_empty() {
        return report.finish().map(drop);
    }
    let machines = Machines::prepare(Programs::build_static)?;
    if args.shell {
        return machines.guest(&kernels[0]).shell();
    }
    let plan = |row: &Row| words(args, row);
    machines.run(&kernels, &plan, report, args.jobs).map(drop)
}

/// Runs the subset for `cargo xtask test`; returns the notes for its table.
pub(crate) fn test() -> Result<String> {
    let mut rows = kernel::rows();
    rows.retain(|row| SUBSET.contains(&row.name));
    let mut report = Report::new(false, true);
    let kernels = report.kernels(&rows, true);
    if kernels.is_empty() {
        return report.finish();
    }
    Machines::prepare(Programs::build)?.run(&kernels, &subset_words, report, None)
}

fn rows(args: &Args) -> Result<Vec<Row<'_>>> {
    let all = kernel::rows();
    for name in &args.kernel {
        let is_known = all.iter().any(|row| row.name == name);
        ensure!(is_known, "no kernel {name}: --list shows them");
    }
    let are_all = args.kernel.is_empty() && args.image.is_empty();
    let is_wanted = |row: &&Row| are_all || args.kernel.iter().any(|it| it == row.name);
    let mut rows: Vec<Row> = all.iter().filter(is_wanted).copied().collect();
    for image in &args.image {
        let row = Row::of(image)?;
        let name = row.name;
        let is_unique = all.iter().chain(&rows).all(|it| it.name != name);
        ensure!(is_unique, "two kernels are called {name}");
        rows.push(row);
    }
    Ok(rows)
}

/// The parts that all machines of a run share.
struct Machines {
    qemu: Qemu,
    initramfs: Initramfs,
}

/// The arguments of pid 1 on the kernel's command line (`probe.tests=…`), one string for
/// each boot of the machine.
type Plan<'a> = dyn Fn(&Row) -> Vec<String> + Sync + 'a;

impl Machines {
    fn prepare(build: impl FnOnce() -> Result<Programs>) -> Result<Self> {
        let qemu = Qemu::find()?;
        setup::packages("tools");
        let initramfs = Initramfs::pack(&build()?)?;
        Ok(Self { qemu, initramfs })
    }

    fn guest<'a>(&'a self, (row, kernel): &'a (&Row, Kernel)) -> Guest<'a> {
        Guest {
            row,
            kernel,
            qemu: &self.qemu,
            initramfs: &self.initramfs,
        }
    }

    /// Runs all kernels, some at once: by default as many as there are CPUs, because the
    /// tests of a guest run one by one and keep one CPU busy.
    fn run<'a>(
        &self,
        kernels: &'a [(&'a Row<'a>, Kernel)],
        plan: &Plan,
        report: Report<'a>,
        jobs: Option<NonZeroUsize>,
    ) -> Result<String> {
        let mut queue: Vec<_> = kernels.iter().enumerate().rev().collect();
        // The slowest kernel comes first, so that others run beside it.
        queue.sort_by_key(|(_, (row, _))| row.is_uml());
        let (queue, report) = (Mutex::new(queue), Mutex::new(report));
        let work = || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            while let Some((place, machine)) = next() {
                let (row, kernel) = machine;
                println!("── {}: {} ({})", row.name, kernel.package, row.purpose);
                let guest = self.guest(machine);
                let starts = plan(row).into_iter().enumerate();
                let runs = starts.map(|(start, words)| {
                    let run = run_guest(&guest, &words, start)?;
                    anyhow::Ok((words, run))
                });
                let runs: Result<Vec<_>> = runs.collect();
                let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                let added = runs.and_then(|runs| report.add(place, (row, kernel), runs));
                if let Err(error) = added {
                    report.fail(row, &error);
                }
            }
        };
        let jobs = jobs.or(available_parallelism().ok());
        let jobs = jobs.map_or(1, NonZeroUsize::get);
        thread::scope(|scope| {
            for _ in 0..jobs.min(kernels.len()) {
                scope.spawn(work);
            }
        });
        let report = report.into_inner();
        report.unwrap_or_else(PoisonError::into_inner).finish()
    }
}

/// Runs a machine, and once more if it did not start pid 1 or got no CPU time. A test that
/// failed is not repeated.
fn run_guest(guest: &Guest, words: &str, start: usize) -> Result<Transcript> {
    let first = guest.run(words, start)?;
    if first.release.is_some() && !first.has_stalled {
        return Ok(first);
    }
    let trouble = first.trouble.join("; ");
    println!("── {}: {trouble}: once more", guest.row.name);
    guest.run(words, start)
}

/// Tests of containers get a boot of their own, with v2 alone, so that v2 limits their
/// memory as on current machines. A row that tests v1 boots once and runs all tests. UML
/// boots once too, and runs tests of containers only if `--test` names them, because a
/// container takes minutes to start there.
const CONTAINERS: &str = "runtimes";

fn words(args: &Args, row: &Row) -> Vec<String> {
    let has_container_boot = !row.is_uml() && !row.has_v1();
    let is_container = |it: &&str| has_container_boot && it.starts_with(CONTAINERS);
    let filters = args.test.iter().map(String::as_str);
    let (containers, others): (Vec<_>, Vec<_>) = filters.partition(is_container);
    let mut starts = Vec::new();
    if args.test.is_empty() || !others.is_empty() {
        let tests = match others.join(",") {
            filters if !filters.is_empty() => format!("probe.tests={filters}"),
            _ if row.has_v1() => "probe.tests=*".to_owned(),
            _ => format!("probe.tests=* probe.skip={CONTAINERS}"),
        };
        let soak = (args.trials > 0).then(|| format!("probe.soak={}", args.trials));
        let seed = args.seed.map(|seed| format!("probe.seed={seed}"));
        let measure = args.record.then(|| "probe.measure".to_owned());
        let words = [Some(tests), soak, seed, measure].into_iter().flatten();
        starts.push(words.collect::<Vec<_>>().join(" "));
    }
    if args.test.is_empty() && has_container_boot {
        starts.push(format!("probe.v2 probe.tests={CONTAINERS}"));
    } else if !containers.is_empty() {
        starts.push(format!("probe.v2 probe.tests={}", containers.join(",")));
    }
    starts
}

/// The kernels of [`test()`]: the oldest, one where `rmdir` is EBUSY after waitpid, the
/// newest, and one without events.
const SUBSET: [&str; 4] = ["5.10", "6.19.6", "7.3", "UML"];

/// The tests of [`test()`]: the wait on each backend, a missing backend, exits, kills and the
/// doctor.
const FILTERS: &str = "backend_selection::,backends::auto_takes,backends::named::a_named,\
                       backends::the_lower_backends,doctor::with_every_privilege,\
                       doctor::without_btf,exits::,kill::members::a_cgroup_with_children,\
                       kill::members::a_kill_with_records,kill::until::a_cgroup_is_killed,wait::";

/// The tests of [`test()`] on UML, which reports no exits and is emulated twice, so that only
/// the soak has crowds there.
const UML_FILTERS: &str = "backends::auto_takes,doctor::with_every_privilege,\
                           kill::until::a_cgroup_is_killed,wait::a_,wait::changes,\
                           wait::survivors,wait::the_verdict,wait::an_empty";

fn subset_words(row: &Row) -> Vec<String> {
    let filters = if row.is_uml() { UML_FILTERS } else { FILTERS };
    // The backends share the trials.
    let mut words = vec![format!("probe.tests={filters} probe.soak=60")];
    if row.name == SUBSET[2] {
        words.push("probe.v2 probe.tests=runtimes::limits".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_of_the_subset_exist() {
        let rows = kernel::rows();
        for name in SUBSET {
            assert!(rows.iter().any(|row| row.name == name), "{name}");
        }
    }
}
