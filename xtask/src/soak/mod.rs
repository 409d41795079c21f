//! `cargo xtask soak`: random trials of the wait, each judged by the kernel.
//!
//! What a trial is, and what it asks the kernel, is a program of the tests
//! (`tests/src/bin/soak`): this builds and runs it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

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

    /// At most 20 processes, 8 threads of each and 16 MiB
    #[arg(long)]
    small: bool,

    /// No process forks while it is killed: User Mode Linux 6.12 panics then
    #[arg(long)]
    no_forks: bool,

    /// Waits in a way that is known to be wrong: a test of the soak itself
    #[arg(long, hide = true, value_parser = ["exit", "procs", "poll"])]
    faulty_wait: Option<String>,
}

const BACKENDS: [&str; 3] = ["bpf", "pidfd", "poll"];

/// Enough for a race that is lost once in a thousand times, in each shape.
pub(crate) const MANY: u64 = 20_000;

/// Faulty ways to wait, and as many trials as detect each: the first two by a wrong verdict,
/// the last by a hang.
const FAULTY_WAITS: [(&str, &str); 3] = [("exit", "100"), ("procs", "400"), ("poll", "60")];

pub(crate) fn run(args: &Args) -> Result<()> {
    build()?;
    let backends = BACKENDS
        .into_iter()
        .filter(|&it| args.backend.as_deref().is_none_or(|only| only == it));
    let mut failed = Vec::new();
    for backend in backends {
        let mut soak = soak(Privilege::own(), backend)?;
        soak.args(["--trials", &args.trials.to_string()]);
        for (option, value) in [("--seed", args.seed), ("--only", args.only)] {
            if let Some(value) = value {
                soak.args([option, &value.to_string()]);
            }
        }
        if args.small {
            soak.arg("--small");
        }
        if args.no_forks {
            soak.arg("--no-forks");
        }
        if let Some(kind) = &args.faulty_wait {
            soak.args(["--faulty-wait", kind, "--patience", "2"]);
        }
        if let Err(error) = command::run(&mut soak) {
            eprintln!("{error:#}\n");
            failed.push(backend);
        }
    }
    ensure!(failed.is_empty(), "the soak failed: {}", failed.join(", "));
    Ok(())
}

/// What `cargo xtask test` runs: that the soak notices what is wrong, then that
/// nothing is.
pub(crate) fn test(privilege: Privilege, trials: u64) -> Result<()> {
    build()?;
    for (kind, trials) in FAULTY_WAITS {
        detect(privilege, kind, trials)?;
    }
    for backend in BACKENDS {
        let mut soak = soak(privilege, backend)?;
        command::run(soak.args(["--trials", &trials.to_string()]))?;
    }
    Ok(())
}

/// Unoptimised: the kernel does nearly all the work, and the packages that the
/// tests need are built already.
fn build() -> Result<()> {
    command::run(checkout::cargo().args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "probe-tests",
        "--bin",
        "soak",
        "--bin",
        "soak_spawner",
    ]))
    .context("build the soak")
}

fn soak(privilege: Privilege, backend: &str) -> Result<Command> {
    let program = checkout::target().join("debug/soak");
    let program = program.to_str().context("the checkout's path is UTF-8")?;
    let mut soak = privilege
        .root(program)
        .context("needs root: run as root, or install sudo")?;
    soak.args(["--backend", backend]);
    Ok(soak)
}

/// Runs the soak with a faulty way to wait, which it must detect.
fn detect(privilege: Privilege, kind: &str, trials: &str) -> Result<()> {
    let mut soak = soak(privilege, "pidfd")?;
    soak.args(["--faulty-wait", kind, "--trials", trials, "--patience", "1"]);
    let output = soak
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run the soak with --faulty-wait {kind}"))?;
    if output.status.code() != Some(1) {
        bail!(
            "the soak did not detect --faulty-wait {kind}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    println!("soak: --faulty-wait {kind} was detected");
    Ok(())
}
