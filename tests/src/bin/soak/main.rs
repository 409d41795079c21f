//! Random trials of the wait: `soak --backend bpf --trials 500 --seed 7`.
//!
//! A trial makes cgroups with processes (`spawner.rs`, `cgroups.rs`), waits through the library
//! as a runtime would, kills the processes in one of many ways (`actor.rs`), and checks the
//! kernel's state at the moment of the verdict (`checks.rs`). No code of the library takes part in
//! the checks: the parent of the processes says which of them live, and the kernel's files whether
//! the cgroup has any. A verdict that is not exact where it must be (`exactness.rs`) is wrong, too.
//! The seed and the number of the trial determine its plan (`plan.rs`).
//!
//! Exit code 1: a verdict was wrong, a wait hung, or a trial failed.

mod actor;
mod cgroups;
mod checks;
mod exactness;
mod faulty_wait;
mod mounts;
mod nest;
mod pinned;
mod plan;
mod random_plan;
mod report;
mod spawner;
mod sys;
mod table;
mod trial;
mod waits;
mod workers;

use std::{
    fs,
    io::{self, Write},
    ops::ControlFlow,
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use probe_user::{
    model::Backend,
    unstable::{bpf::load, wait::Hub},
};
use tokio::runtime::{self, Runtime};

use crate::{
    faulty_wait::{FaultyWait, FaultyWaiter},
    mounts::Mounts,
    nest::Nests,
    plan::Shape,
    report::Reporter,
    table::Table,
    trial::Soak,
    workers::Workers,
};

/// Random trials of the wait
#[derive(Debug, Parser)]
struct Args {
    /// Number of trials
    #[arg(long, default_value_t = 500)]
    trials: u64,
    /// Seed of all trials
    #[arg(long, overrides_with = "seed")]
    seed: Option<u64>,
    /// Best backend that may be used
    #[arg(long, default_value = "bpf", value_parser = backend)]
    backend: Backend,
    /// Runs only the trial with this number
    #[arg(long, value_name = "INDEX")]
    only: Option<u64>,
    /// Runs only trials of this shape, also one that is not drawn otherwise
    #[arg(long, value_enum)]
    shape: Option<Shape>,
    /// Number of simultaneous trials
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    jobs: u8,
    /// Seconds after which a wait counts as hung
    #[arg(long, default_value_t = 20)]
    patience: u64,
    /// Prints trials with a longer time from the kill to the verdict
    #[arg(long, value_name = "MILLISECONDS")]
    slow: Option<u64>,
    /// Limits trials to 20 processes, 8 threads per process and 16 MiB
    #[arg(long)]
    small: bool,

    /// No process forks while it is killed: User Mode Linux 6.12 panics then
    #[arg(long)]
    no_forks: bool,
    /// Waits in a way that is known to be wrong, until a trial detects it: a test of the soak
    /// itself
    #[arg(long, value_enum)]
    faulty_wait: Option<FaultyWait>,

    /// Runs the trials with the numbers on stdin, for another soak
    #[arg(long, value_enum, hide = true, requires = "nest_directory")]
    nest: Option<plan::Nest>,
    /// The name of the cgroups of a nested soak
    #[arg(long, hide = true)]
    nest_directory: Option<String>,
    /// Whether the pid namespace of a nested soak exists
    #[arg(long, hide = true)]
    inside: bool,
}

fn backend(name: &str) -> Result<Backend> {
    let mut all = [Backend::Bpf, Backend::Pidfd, Backend::Poll].into_iter();
    let found = all.find(|backend| backend.as_str() == name);
    found.context("expected bpf, pidfd or poll")
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    let result = if first == spawner::ARGUMENT {
        spawner::run().map(|()| true)
    } else if first == spawner::EXECUTED {
        let gate = arguments.next().and_then(|it| it.into_string().ok());
        spawner::executed(gate).map(|()| true)
    } else {
        let args = Args::parse();
        match args.nest {
            Some(plan::Nest::Pids) if !args.inside => nest::run_in_namespace(),
            Some(_) => serve(&args),
            None => run(&args),
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("soak: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Runs trials for another soak.
fn serve(args: &Args) -> Result<bool> {
    if args.inside {
        nest::mount_proc()?;
    }
    let soak = prepare(args, args.seed.context("no seed")?)?;
    if args.nest == Some(plan::Nest::Limits) {
        nest::lower_hard_limit()?;
    }
    nest::serve(&soak)
}

/// Runs the trials; returns whether every verdict was right.
fn run(args: &Args) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let backend = args.backend.as_str();
    say(&format!(
        "soak: {} trials, --backend {backend} --seed {seed}",
        args.only.map_or(args.trials, |_| 1)
    ));
    let soak = Arc::new(prepare(args, seed)?);
    let begun = Instant::now();
    let mut table = Table::default();
    let mut reporter = Reporter::new(args.slow.map(Duration::from_millis));
    let trials = args.only.map_or(0..args.trials, |only| only..only + 1);
    // A faulty wait would take the exits of another trial for its own.
    let jobs = if args.faulty_wait.is_some() {
        1
    } else {
        args.jobs
    };
    let finished = Workers::start(&soak, jobs, trials).collect(|trial| {
        table.add(&trial);
        reporter.report(&soak, &trial);
        report::progress(table.trials());
        // One detection is enough.
        if args.faulty_wait.is_some() && !table.is_clean() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let took = begun.elapsed();
    table.sort();
    write!(io::stdout(), "{table}\n{}", table.exactness()).context("write to stdout")?;
    say(&format!(
        "soak: {} trials in {:.1} s",
        table.trials(),
        took.as_secs_f64()
    ));
    if !finished? {
        return Ok(false);
    }
    soak.nests.end();
    if !soak.mounts.remove() {
        bail!("cannot remove {:?}", soak.mounts);
    }
    Ok(table.is_clean())
}

fn prepare(args: &Args, seed: u64) -> Result<Soak> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let backend = args.backend;
    let mut hub = Hub::start(backend);
    if backend == Backend::Bpf {
        runtime.block_on(async {
            hub.load(load::Plan::decisive());
            hub.bpf().await.context("load BPF")?.context("load BPF")
        })?;
    }
    let mounts = Mounts::prepare(args.nest_directory.as_deref())?;
    let handle = runtime.handle().clone();
    thread::spawn(move || drive(&runtime));
    Ok(Soak {
        seed,
        backend,
        hub,
        runtime: handle,
        mounts,
        patience: Duration::from_secs(args.patience),
        faulty_waiter: args.faulty_wait.map(FaultyWaiter::prepare).transpose()?,
        shape: args.shape,
        nests: Nests::default(),
        is_nested: args.nest.is_some(),
        leaves_late: leaves_late(),
        is_small: args.small,
        no_forks: args.no_forks,
    })
}

/// Whether the kernel lets a task leave its cgroup after its end (Linux 6.19).
fn leaves_late() -> bool {
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    symbols.contains(" cgroup_task_dead\n")
}

/// Runs the tasks of the hub. The waits run on the threads of their trials.
fn drive(runtime: &Runtime) {
    runtime.block_on(std::future::pending::<()>());
}

/// Prints to stderr. Errors are ignored: they could not be reported.
pub(crate) fn say(what: &str) {
    let _written = writeln!(io::stderr(), "{what}");
}
