//! `probe wait`: until something is gone.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use probe_daemon::api::Outcome;
use probe_daemon::api::quantity::duration;
use probe_user::{
    model::ExitStatus,
    unstable::{bpf::load::Plan, proc::pinned::PinnedProcess},
};

use super::{
    ExitCode, Failure,
    backend::{BackendChoice, BackendSelection},
    conclude::Call,
    end::End,
    named::{Absent, PinnedTarget, TargetArgs},
    socket::Socket,
    stop,
    terminal::Say,
    until::UntilArg,
};
use crate::session::{BpfFault, Session, SessionResult};

/// Wait until cgroups, containers, units or processes are gone
///
/// Done is what the kernel says, never what an event says. Waiting for something
/// that is gone already is done at once. Prints the processes that ended
/// meanwhile, then the verdict.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    /// What must be true: exited (may be a zombie; default for processes), reaped
    /// (its pid is released), empty (`populated` is 0 and `rmdir` succeeds;
    /// default for cgroups and units), stopped (the runtime can delete it; default
    /// for containers), removed (the cgroup's directory is gone)
    #[arg(long, value_name = "STATE", value_enum)]
    until: Option<UntilArg>,

    /// Give up after this time: 250ms, 2.5 (seconds), 1m30s; 0 looks once
    #[arg(short, long, value_name = "DUR", value_parser = duration)]
    timeout: Option<Duration>,

    /// Done as soon as this many targets are
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Done as soon as one target is
    #[arg(long, conflicts_with = "count")]
    any: bool,

    /// Leave with the exit code of the process (one PID only), or 128 + the signal
    /// that ended it; 124 if the time is up, 125 for anything else
    #[arg(long)]
    status: bool,

    /// What may wake the wait: auto takes the best that works; one that is named
    /// and not available is an error (exit code 5)
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    backend: BackendChoice,

    #[command(flatten)]
    socket: Socket,

    /// A target that is not there is an error (exit code 4)
    #[arg(long, conflicts_with = "exited")]
    must_exist: bool,

    /// A container or unit that nobody knows is one that is gone
    #[arg(short, long)]
    exited: bool,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// For tests: BPF breaks as soon as it has joined
    #[arg(long, hide = true, value_name = "WHAT", value_enum)]
    break_bpf: Option<BpfFault>,

    /// For tests: only what the daemon says is a reason to look
    #[arg(long, hide = true)]
    deaf: bool,
}

/// Exit codes of `--status` that are not those of the process.
const TIMED_OUT: u8 = 124;
const OTHER: u8 = 125;

pub(super) fn run(args: &Args, say: Say) -> Result<ExitCode, Failure> {
    let wants_status = args.status;
    wait(args, say).map_err(|mut failure| {
        if wants_status {
            failure.code = ExitCode::Child(OTHER);
        }
        failure
    })
}

fn wait(args: &Args, say: Say) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let tier = args.backend.tier()?;
    let mut call = Call::new(begun, say, "wait", args.json)?;
    let absent = Absent {
        is_error: args.must_exist,
        unknown_is_gone: args.exited,
    };
    let named = args.targets.pin(&call.mounts, tier, absent)?;
    check(args, &named)?;
    let process = args.status.then(|| clone_process(&named)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let (stop, flag) = stop::requested()?;
    let condition = (args.until, args.needed());
    let resolver = args.targets.resolver();
    let (mut session, plan, needed) = call.arm(named, tier, condition, resolver, flag)?;
    args.break_for_tests(&mut session);
    if let Some(process) = process.flatten() {
        session.want_status(process)?;
    }
    let mut backends = args.backends(plan);
    runtime.block_on(async {
        backends.join_chosen(&mut session, needed).await?;
        let is_patient = args.timeout != Some(Duration::ZERO);
        let mut interrupted = None;
        let outcome =
            if session.look()? >= needed || !is_patient && session.look_at_last()? >= needed {
                Outcome::Already
            } else if is_patient {
                backends.join_best(&mut session)?;
                call.watch_progress(&mut session);
                let deadline = args.timeout.map(|timeout| (begun + timeout).into());
                let stop = pin!(async { interrupted = Some(stop.await) });
                let outcome = session.follow(needed, deadline, stop).await?;
                call.decided();
                outcome
            } else {
                Outcome::Timeout
            };
        let code = args.conclude(&call, session.finish(outcome).await?, outcome)?;
        Ok(interrupted.map_or(code, ExitCode::Signal))
    })
}

impl Args {
    fn break_for_tests(&self, session: &mut Session) {
        if let Some(fault) = self.break_bpf {
            session.break_bpf(fault);
        }
        if self.deaf {
            session.wake_by_daemon_only();
        }
    }

    fn backends(&self, plan: Plan) -> BackendSelection<'_> {
        BackendSelection {
            choice: self.backend,
            socket: &self.socket,
            timeout: self.timeout,
            plan: Some(plan),
        }
    }

    /// `None`: all of them.
    fn needed(&self) -> Option<usize> {
        let count = if self.any { Some(1) } else { self.count };
        count.map(|count| count as usize)
    }

    fn conclude(
        &self,
        call: &Call,
        result: SessionResult,
        outcome: Outcome,
    ) -> Result<ExitCode, Failure> {
        let status = result.status;
        call.conclude(result, End::of(outcome))?;
        Ok(match outcome {
            Outcome::Timeout if self.status => ExitCode::Child(TIMED_OUT),
            Outcome::Timeout => ExitCode::TimedOut,
            _ if !self.status => ExitCode::Done,
            _ => ExitCode::Child(status.map_or_else(
                || {
                    call.say.line("the status of the process is unknown");
                    OTHER
                },
                code_of,
            )),
        })
    }
}

fn code_of(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Exited { code } => code,
        ExitStatus::Signaled { signal, .. } => u8::try_from(128 + signal.0).unwrap_or(u8::MAX),
    }
}

/// Refuses what makes no sense together.
fn check(args: &Args, named: &[PinnedTarget]) -> Result<(), Failure> {
    let usage = |message: String| Failure::message(ExitCode::Usage, message);
    let has_process = named.iter().any(|it| it.subject.process.is_some());
    if args.status && !(named.len() == 1 && has_process) {
        return Err(usage("--status is about one process".to_owned()).hint("give one PID"));
    }
    for target in named {
        target.check(args.until)?;
    }
    if let Some(needed) = args.needed().filter(|&needed| needed > named.len()) {
        let message = format!("{needed} of {} targets cannot be done", named.len());
        return Err(usage(message).hint("give --count a smaller number"));
    }
    Ok(())
}

fn clone_process(named: &[PinnedTarget]) -> Result<Option<PinnedProcess>, Failure> {
    let process = named
        .iter()
        .filter_map(|it| it.pinned.as_ref())
        .find_map(|target| target.processes.first());
    Ok(process.map(PinnedProcess::try_clone).transpose()?)
}
