//! `probe trace`: shows exits as they happen.

mod daemon;
pub(super) mod plan;

use std::{
    future::pending,
    pin::pin,
    time::{Duration, Instant},
};

use probe_daemon::api::quantity::duration;
use probe_user::{
    model::{Filter, ProcessState},
    unstable::{
        bpf::hook::ExitShape, container::Resolver, proc::pinned::PinnedProcess, readiness::register,
    },
};
use tokio::io::Interest;

use super::{
    ExitCode, Failure,
    buffer::size,
    conditions::Conditions,
    format::FormatArg,
    named::{TargetArgs, TracedTargets},
    socket::Socket,
    stop, target,
    terminal::{self, Messages},
};
use crate::{
    deadline::until,
    output::{
        Out,
        reporter::{ReportOptions, Reported},
    },
    trace::{DaemonStream, Trace},
};

/// Show processes as they exit: exit status, killer and container of each
///
/// Without a target, probe traces the whole machine. A process must match any of the
/// targets and all of the other conditions. A trace that has only processes as targets
/// ends when they have ended. Most conditions are tested in the
/// kernel, so that exits that do not match cost next to nothing.
///
/// probe shows an exit when it begins: the process is still in its cgroup and may
/// hold memory and ports for some milliseconds. `probe wait` waits until a process
/// is gone.
///
/// --starts adds a line for each start of a process. Targets, --comm and --uid apply
/// to starts too; --failed, --signaled, --oom, --min-age and --max-age apply to exits
/// only.
///
/// On a kernel without BTF, the only known facts of a process are its pid, uid, name
/// and v2 cgroup. A condition on any other fact then matches every exit, and a note
/// says so.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    #[command(flatten)]
    conditions: Conditions,

    /// Show the exit of every thread, not only of the last one of a process
    ///
    /// The column STATUS then marks the exit of a thread with `thread`, or `leader` if
    /// it is the first thread of its process (`t` and `l` on a narrow terminal).
    #[arg(long)]
    threads: bool,

    /// Show starts too: each fork, and each exec with its arguments
    #[arg(long)]
    starts: bool,

    /// Show also how long each exit took that took at least this time (100ms)
    ///
    /// probe follows each process that is shown until its parent has reaped it. For an exit that
    /// lasts, probe prints after a second what the process waits for, and again when that
    /// changes.
    #[arg(long, value_name = "DUR", value_parser = duration)]
    slow: Option<Duration>,

    #[command(flatten)]
    socket: Socket,

    #[command(flatten)]
    format: FormatArg,

    /// Stop after N lines [default: no limit]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Stop after this time (250ms, 2.5 or 1m30s) [default: no limit]
    ///
    /// A number without a unit is in seconds.
    #[arg(
        short, short_alias = 'd', long, alias = "duration",
        value_name = "DUR", value_parser = duration
    )]
    timeout: Option<Duration>,

    /// Size of the BPF ring buffer (64K, 4M or 1G), rounded up to a power of two
    ///
    /// A number without a unit is in bytes. With this option, probe does not use the
    /// daemon.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer: Option<u32>,
}

/// Time between two drains of the ring for a program that reads a file or a pipe, and for a
/// person at a terminal.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
const DRAIN_EVERY_INTERACTIVE: Duration = Duration::from_millis(10);

/// Time between two looks at a process without a pidfd.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(args: Args, messages: Messages) -> Result<ExitCode, Failure> {
    crate::cli::runtime()?.block_on(follow(args, messages))
}

async fn follow(args: Args, messages: Messages) -> Result<ExitCode, Failure> {
    args.conditions.check()?;
    // Before anything that needs a clean end.
    let (stop, flag) = stop::requested()?;
    let mounts = target::mounts()?;
    let mut resolver = Resolver::new(args.targets.state_roots());
    let targets = args.targets.traced(&mounts, &mut resolver)?;
    let count = targets.count();
    let wanted = Filter {
        threads: args.threads,
        ..targets.filter(&args.conditions)?
    };
    let begun = Instant::now();
    let options = ReportOptions {
        wanted: wanted.clone(),
        columns: args.format.records()?.map(|columns| {
            let columns = columns.of_tasks(args.threads);
            columns.with_starts(args.starts)
        }),
        mounts,
        resolver,
        out: Out::stdout(flag)?,
    };
    let drain_every = if terminal::is_interactive() {
        DRAIN_EVERY_INTERACTIVE
    } else {
        DRAIN_EVERY
    };
    let mut trace = Trace::new(options, args.count, drain_every);
    trace.follow_slow(args.slow);
    let daemon_records = daemon::records(&args, &targets).await?;
    let TracedTargets {
        cgroups: targets,
        processes,
    } = targets;
    let ends_with_processes = targets.is_empty() && !processes.is_empty();
    let processes = ends_with_processes.then_some(processes);
    let mut stop = pin!(end_of(args.timeout, stop, processes));
    if let Some((records, tests_targets)) = daemon_records {
        if tests_targets {
            trace.test_targets();
        }
        messages.print(&announcement("daemon", &args, count));
        trace.print_header()?;
        match trace.follow_daemon(records, stop.as_mut()).await? {
            DaemonStream::Ended => return end(messages, trace.reported(), begun),
            DaemonStream::Cut(error) => {
                let reason = anyhow::Error::new(error);
                tracing::warn!("{reason:#}: the last exits are missing");
                return end(messages, trace.reported(), begun);
            }
            DaemonStream::Broken(error) => {
                let reason = anyhow::Error::new(error);
                tracing::warn!(
                    "{reason:#}: exits are missing until BPF programs replace the daemon"
                );
            }
        }
    }
    let loaded = plan::load(&args, trace.mounts(), &wanted, &targets, messages)?;
    if loaded.0.types.is_none() {
        plan::check_without_btf(&args, &wanted, messages)?;
    }
    trace.learn_cgroups(&loaded.1);
    let shape = loaded.0.exit_shape().map(ExitShape::as_str);
    tracing::debug!(shape, "the BPF programs are attached");
    messages.print(&announcement("bpf", &args, count));
    trace.print_header()?;
    trace.follow_bpf(loaded, stop).await?;
    end(messages, trace.reported(), begun)
}

/// Prints the summary. A trace that misses an unknown number of records has failed.
fn end(messages: Messages, reported: Reported, begun: Instant) -> Result<ExitCode, Failure> {
    messages.print(&format!(
        "seen {}, shown {}, lost {} in {:.1} s",
        reported.seen,
        reported.shown,
        reported.lost,
        begun.elapsed().as_secs_f64()
    ));
    if reported.lost.known().is_none() {
        let message = "an unknown number of records is missing in the output";
        return Err(Failure::message(ExitCode::Failure, message));
    }
    Ok(ExitCode::Done)
}

/// Resolves after a signal or the time limit, or when all processes have exited.
async fn end_of(
    limit: Option<Duration>,
    stop: impl Future<Output = i32>,
    processes: Option<Vec<PinnedProcess>>,
) {
    let limit = limit.map(|limit| tokio::time::Instant::now() + limit);
    let exited = async {
        match processes {
            Some(processes) => exited(processes).await,
            None => pending().await,
        }
    };
    tokio::select! {
        _signal = stop => {}
        () = until(limit) => {}
        () = exited => {}
    }
}

/// Resolves when all processes have exited. Then the BPF programs have recorded their exits.
async fn exited(processes: Vec<PinnedProcess>) {
    for process in processes {
        let pidfd = process.pidfd().and_then(|it| it.try_clone_to_owned().ok());
        let pidfd = pidfd.and_then(|it| register(it, Interest::READABLE).ok());
        if let Some(pidfd) = pidfd {
            // An error is like a kernel without pidfds.
            let _readable = pidfd.readable().await;
        }
        while !process.state().is_ok_and(ProcessState::has_exited) {
            tokio::time::sleep_until(tokio::time::Instant::now() + LOOK_EVERY).await;
        }
    }
}

fn announcement(by: &str, args: &Args, targets: usize) -> String {
    let what = if args.starts {
        "starts and exits"
    } else {
        "exits"
    };
    let targets = match targets {
        0 => "the whole machine".to_owned(),
        1 => "1 target".to_owned(),
        targets => format!("{targets} targets"),
    };
    format!("tracing: {what} of {targets} ({by}); press Ctrl-C to stop")
}
