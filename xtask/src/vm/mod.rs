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
mod matrix;
mod qemu;
mod row;
mod subset;
mod support;
mod table;
mod transcript;
mod uml;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use self::{
    kernel::Kernel,
    matrix::Matrix,
    qemu::Qemu,
    row::{Machine, ROWS, Row},
};
use crate::setup;

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

    /// With the programs that `cargo xtask test` builds, not with static ones
    #[arg(long)]
    built: bool,

    /// What `cargo xtask test` runs of it, with the programs that it builds
    #[arg(long, conflicts_with_all = ["kernel", "test", "shell", "record"])]
    quick: bool,

    /// Show the kernels and do nothing
    #[arg(long)]
    list: bool,

    /// A shell on one kernel in place of the tests
    #[arg(long, requires = "kernel")]
    shell: bool,

    /// Go on without kernels that cannot be had
    #[arg(long)]
    allow_missing: bool,

    /// Write docs/kernels, and the tables that are made of it
    #[arg(long)]
    record: bool,

    /// Minutes that a machine may take
    #[arg(long, default_value_t = 30)]
    minutes: u64,
}

/// What depends on the kernel most: how processes end, and what tells of it.
const FILTERS: [&str; 11] = [
    "backends::",
    "containers::",
    "doctor::",
    "exits::",
    "kill::",
    "ladder::",
    "library::",
    "races::",
    "runtimes::",
    "targets::",
    "wait::",
];

/// What the tests run and is not ours.
const PACKAGES: [setup::Package; 3] = [setup::RUNC, setup::CRUN, setup::STRACE];

/// Those that a machine with v2 alone is for.
const CONTAINERS: &str = "runtimes";

pub(crate) fn run(args: &Args) -> Result<()> {
    let rows = rows(args)?;
    if args.list {
        for row in rows {
            println!("{:<7} {:<43} {}", row.name, row.package, row.purpose);
        }
        return Ok(());
    }
    if args.quick {
        return test().map(drop);
    }
    let mut matrix = Matrix::new(Duration::from_secs(args.minutes * 60));
    let kernels = matrix.kernels(&rows, args.allow_missing);
    matrix.qemu = qemu(&kernels)?;
    setup::packages(&PACKAGES);
    let programs = if args.built {
        build::built()
    } else {
        build::build()
    };
    let initramfs = initramfs::pack(&programs?)?;
    if args.shell {
        let Some((row, kernel)) = kernels.first() else {
            bail!("there is no kernel to run a shell on");
        };
        return guest::shell(row, kernel, matrix.qemu, &initramfs);
    }
    matrix.run(&kernels, &initramfs, &|row| words(args, row))?;
    matrix.finish(args.record).map(drop)
}

/// What runs in virtual machines in `cargo xtask test`, with what that built;
/// says what is to be known of it.
pub(crate) fn test() -> Result<String> {
    let mut matrix = Matrix::new(subset::LIMIT);
    let kernels = matrix.kernels(&subset::rows(), false);
    matrix.qemu = qemu(&kernels)?;
    setup::packages(&PACKAGES);
    let initramfs = initramfs::pack(&build::built()?)?;
    matrix.end = Some(Instant::now() + subset::LIMIT);
    matrix.run(&kernels, &initramfs, &subset::words)?;
    matrix.finish(false)
}

fn qemu(kernels: &[(&'static Row, Kernel)]) -> Result<Option<Qemu>> {
    (!kernels.is_empty())
        .then(Qemu::find_or_install)
        .transpose()
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

/// Containers have a start of their own: with v2 alone, by which their memory is
/// limited on the machines of today.
fn words(args: &Args, row: &Row) -> Vec<String> {
    let all = FILTERS.map(str::to_owned);
    let filters = if args.test.is_empty() {
        all.as_slice()
    } else {
        &args.test
    };
    let soak = match args.trials {
        0 => String::new(),
        trials => format!(" probe.soak={trials}"),
    };
    let measure = if args.record { "probe.measure " } else { "" };
    let (containers, others): (Vec<_>, Vec<_>) = filters
        .iter()
        .map(String::as_str)
        .partition(|filter| filter.starts_with(CONTAINERS));
    let mut words = Vec::new();
    if !others.is_empty() {
        let others = others.join(",");
        words.push(format!("{measure}probe.tests={others}{soak}"));
    }
    if !containers.is_empty() && row.machine == Machine::Qemu {
        let containers = containers.join(",");
        words.push(format!("probe.v2 probe.tests={containers}"));
    }
    words
}
