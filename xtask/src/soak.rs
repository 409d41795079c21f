//! `cargo xtask soak`: random trials of the wait. After each verdict the kernel is asked
//! whether the verdict was true.
//!
//! A program of the tests (`tests/src/bin/soak`) runs the trials; this builds and runs it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{checkout, command, privilege::Privilege};

/// Random trials of the wait on each backend, judged by the kernel
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Trials for each backend
    #[arg(long, default_value_t = MANY)]
    trials: u64,

    /// Repeats a run; without it a new one is drawn and printed
    #[arg(long)]
    seed: Option<u64>,

    /// bpf, pidfd or poll; without it one after the other
    #[arg(long, value_parser = BACKENDS)]
    backend: Option<String>,

    /// Repeats the trial with this number alone
    #[arg(long, value_name = "INDEX", requires = "seed")]
    only: Option<u64>,

    /// Trials of this shape alone; a wrong name lists them all
    #[arg(long)]
    shape: Option<String>,

    /// At most 20 processes, 8 threads of each and 16 MiB
    #[arg(long)]
    small: bool,

    /// No process forks while it is killed: User Mode Linux 6.12 panics then
    #[arg(long)]
    no_forks: bool,
}

const BACKENDS: [&str; 3] = ["bpf", "pidfd", "poll"];

/// Enough to find a race that is lost once in a thousand times, in each shape.
pub(crate) const MANY: u64 = 20_000;

/// Wrong ways to wait, and a number of trials that detects each: the first three give a
/// wrong verdict, the last one hangs.
const FAULTY_WAITS: [(&str, &str); 4] = [
    ("exit", "400"),
    ("procs", "400"),
    ("walk", "400"),
    ("poll", "400"),
];

pub(crate) fn run(args: &Args) -> Result<()> {
    build()?;
    let is_wanted = |it: &&str| args.backend.as_deref().is_none_or(|only| only == *it);
    let mut failed = Vec::new();
    for backend in BACKENDS.into_iter().filter(is_wanted) {
        let mut soak = soak(Privilege::own(), backend)?;
        soak.args(["--trials", &args.trials.to_string()]);
        for (option, value) in [("--seed", args.seed), ("--only", args.only)] {
            soak.args(value.map(|value| format!("{option}={value}")));
        }
        soak.args(args.shape.iter().map(|shape| format!("--shape={shape}")));
        soak.args(args.small.then_some("--small"));
        soak.args(args.no_forks.then_some("--no-forks"));
        if let Err(error) = command::run(&mut soak) {
            eprintln!("{error:#}\n");
            failed.push(backend);
        }
    }
    ensure!(failed.is_empty(), "the soak failed: {}", failed.join(", "));
    Ok(())
}

/// Checks for `cargo xtask test` that the soak detects wrong ways to wait, then runs it on
/// every backend.
pub(crate) fn test(privilege: Privilege, trials: u64) -> Result<()> {
    build()?;
    for (kind, trials) in FAULTY_WAITS {
        let mut soak = soak(privilege, "pidfd")?;
        soak.args(["--faulty-wait", kind, "--trials", trials, "--patience", "1"]);
        let output = soak.stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("run the soak with --faulty-wait {kind}"))?;
        let (status, stderr) = (output.status, String::from_utf8_lossy(&output.stderr));
        let is_detected = status.code() == Some(1);
        ensure!(
            is_detected,
            "--faulty-wait {kind} was not detected: {status}\n{stderr}"
        );
        println!("soak: --faulty-wait {kind} was detected");
    }
    for backend in BACKENDS {
        let mut soak = soak(privilege, backend)?;
        command::run(soak.args(["--trials", &trials.to_string()]))?;
    }
    Ok(())
}

/// Builds the soak unoptimised: the kernel does nearly all the work, and the packages that
/// the tests need are built already.
fn build() -> Result<()> {
    let words = "build --quiet --locked -p probe-tests --bin soak";
    command::run(&mut checkout::cargo(words)).context("build the soak")
}

fn soak(privilege: Privilege, backend: &str) -> Result<Command> {
    let program = checkout::target().join("debug/soak");
    let program = program.to_str().context("the checkout's path is UTF-8")?;
    let soak = privilege.root(program);
    let mut soak = soak.context("needs root: run as root, or install sudo")?;
    soak.args(["--backend", backend]);
    Ok(soak)
}
