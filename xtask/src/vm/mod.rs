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
mod golden;
mod guest;
mod initramfs;
mod kernel;
mod machines;
mod matrix;
mod qemu;
mod row;
mod subset;
mod support;
mod table;
mod transcript;
mod uml;

use std::{
    iter,
    num::NonZeroUsize,
    path::PathBuf,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use clap::ArgGroup;

use self::{
    machines::{Kernels, Machines},
    matrix::Matrix,
    qemu::Qemu,
    row::{Machine, ROWS, Row},
};
use crate::setup;

/// The tests and the soak on other kernels, in virtual machines
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("named").args(["kernel", "image"]).multiple(true))]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// Only these kernels; --list tells their names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    kernel: Vec<String>,

    /// Kernels that --list does not tell, and only they without --kernel: what x86
    /// boots, as in /boot/vmlinuz-*, with what that needs and a serial console built in
    #[arg(long, value_name = "FILE", num_args = 1..)]
    image: Vec<PathBuf>,

    /// Only tests whose names contain one of these
    #[arg(long, value_name = "FILTER", num_args = 1..)]
    test: Vec<String>,

    /// Trials of the soak on each kernel, shared by the backends that can be had
    /// there; 0 leaves it out
    #[arg(long, default_value_t = 300)]
    trials: u32,

    /// What the trials of the soak are made of, the same on each kernel; else
    /// each has its own
    #[arg(long)]
    seed: Option<u64>,

    /// With the programs that `cargo xtask test` builds, not with static ones
    #[arg(long)]
    built: bool,

    /// What `cargo xtask test` runs of it, with the programs that it builds
    #[arg(long, conflicts_with_all = ["named", "test", "shell", "record"])]
    quick: bool,

    /// Show the kernels and do nothing
    #[arg(long)]
    list: bool,

    /// A shell on one kernel in place of the tests
    #[arg(long, requires = "named")]
    shell: bool,

    /// Go on without kernels that cannot be had
    #[arg(long)]
    allow_missing: bool,

    /// Write docs/kernels, and the tables that are made of it
    #[arg(long, conflicts_with = "image")]
    record: bool,

    /// Minutes that a machine may take
    #[arg(long, default_value_t = 30)]
    minutes: u64,

    /// Machines at once; by default as many as there are CPUs
    #[arg(long, short)]
    jobs: Option<NonZeroUsize>,
}

/// Those that a machine with v2 alone is for.
const CONTAINERS: &str = "runtimes";

pub(crate) fn run(args: &Args) -> Result<()> {
    let rows = rows(args)?;
    if args.list {
        for row in &rows {
            println!("{:<13} {:<43} {}", row.name, row.origin, row.purpose);
        }
        return Ok(());
    }
    if args.quick {
        return test().map(drop);
    }
    let mut matrix = Matrix::new(args.record);
    let kernels = matrix.kernels(&rows, args.allow_missing);
    if kernels.is_empty() {
        return matrix.finish().map(drop);
    }
    let qemu = qemu(&kernels)?;
    setup::packages(&setup::TOOLS);
    let programs = if args.built {
        build::built()
    } else {
        build::build()
    };
    let initramfs = initramfs::pack(&programs?)?;
    if let (true, Some((row, kernel))) = (args.shell, kernels.first()) {
        return guest::shell(row, kernel, qemu.as_ref(), &initramfs);
    }
    let machines = Machines {
        kernels: &kernels,
        plan: &|row| words(args, row),
        qemu,
        initramfs: &initramfs,
        limit: Duration::from_secs(args.minutes * 60),
        end: None,
        jobs: args.jobs.map_or_else(cpus, NonZeroUsize::get),
    };
    machines.run(|ended| matrix.add(ended))?;
    matrix.finish().map(drop)
}

/// What runs in virtual machines in `cargo xtask test`, with what that built;
/// says what is to be known of it.
pub(crate) fn test() -> Result<String> {
    let rows = subset::rows();
    let mut matrix = Matrix::default();
    let kernels = matrix.kernels(&rows, true);
    if kernels.is_empty() {
        return matrix.finish();
    }
    let qemu = qemu(&kernels)?;
    setup::packages(&setup::TOOLS);
    let initramfs = initramfs::pack(&build::built()?)?;
    let machines = Machines {
        kernels: &kernels,
        plan: &subset::words,
        qemu,
        initramfs: &initramfs,
        limit: subset::LIMIT,
        end: Some(Instant::now() + subset::LIMIT),
        jobs: cpus(),
    };
    machines.run(|ended| matrix.add(ended))?;
    matrix.finish()
}

/// Of this machine, each of which a guest keeps busy.
fn cpus() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

fn qemu(kernels: &Kernels) -> Result<Option<Qemu>> {
    (!kernels.is_empty()).then(Qemu::find_or_unpack).transpose()
}

fn rows(args: &Args) -> Result<Vec<Row<'_>>> {
    for name in &args.kernel {
        if ROWS.iter().all(|row| row.name != name) {
            bail!("no kernel {name}: --list shows them");
        }
    }
    let are_all = args.kernel.is_empty() && args.image.is_empty();
    let is_wanted = |row: &Row| are_all || args.kernel.iter().any(|it| it == row.name);
    let mut rows: Vec<_> = ROWS.into_iter().filter(is_wanted).collect();
    for image in &args.image {
        let row = Row::of(image)?;
        let is_other = |it: &Row| it.name != row.name;
        ensure!(
            ROWS.iter().chain(&rows).all(is_other),
            "two kernels would be called {}: {}\nhint: give the file another name",
            row.name,
            image.display()
        );
        rows.push(row);
    }
    Ok(rows)
}

/// What pid 1 of each start of a row's machine is told.
fn words(args: &Args, row: &Row) -> Vec<String> {
    let (others, containers) = starts(&args.test, row);
    let soak = (args.trials > 0).then(|| format!("probe.soak={}", args.trials));
    let seed = args.seed.map(|seed| format!("probe.seed={seed}"));
    let measure = args.record.then(|| "probe.measure".to_owned());
    let first = others.map(|others| {
        let more = [soak, seed, measure].into_iter().flatten();
        let words: Vec<_> = iter::once(others).chain(more).collect();
        words.join(" ")
    });
    first.into_iter().chain(containers).collect()
}

/// Containers have a start of their own: with v2 alone, by which their memory is
/// limited on the machines of today. Not where v1 is what the row is for, and on UML,
/// where one takes minutes to start, only if they are asked for.
fn starts(filters: &[String], row: &Row) -> (Option<String>, Option<String>) {
    let has_two = row.machine == Machine::Qemu && !row.has_v1();
    if filters.is_empty() {
        let all = if row.has_v1() {
            "probe.tests=*".to_owned()
        } else {
            format!("probe.tests=* probe.skip={CONTAINERS}")
        };
        return (Some(all), has_two.then(|| with_v2(CONTAINERS)));
    }
    let (containers, others): (Vec<_>, Vec<_>) = filters
        .iter()
        .map(String::as_str)
        .partition(|filter| has_two && filter.starts_with(CONTAINERS));
    let some = |filters: Vec<&str>| (!filters.is_empty()).then(|| filters.join(","));
    (
        some(others).map(|filters| format!("probe.tests={filters}")),
        some(containers).map(|filters| with_v2(&filters)),
    )
}

fn with_v2(filters: &str) -> String {
    format!("probe.v2 probe.tests={filters}")
}
