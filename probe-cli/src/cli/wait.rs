//! `probe wait`: waits until targets are gone.

use std::{mem::ManuallyDrop, pin::pin, time::Duration};

use probe_daemon::api::Outcome;
use probe_user::{model::ExitStatus, unstable::proc::pinned::PinnedProcess};

use super::{
    ExitCode, Failure,
    invocation::{Invocation, WaitArgs},
    named::{Missing, PinnedTarget},
    stop,
    terminal::Messages,
};
use crate::session::SessionResult;

/// Wait until cgroups, containers, units or processes are gone
///
/// The state of the kernel decides when a wait is over; an event only wakes probe
/// to look at that state again. The wait ends at once if the targets are gone
/// already. probe prints each process that exits meanwhile, then the verdict.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    wait: WaitArgs,

    /// Succeed as soon as N targets meet their condition [default: all]
    #[arg(
        short = 'n', short_alias = 'c', long,
        value_name = "N", value_parser = clap::value_parser!(u32).range(1..)
    )]
    count: Option<u32>,

    /// Succeed as soon as one target meets its condition
    #[arg(long, conflicts_with = "count")]
    any: bool,

    /// Exit with the exit code of the process or container (exactly one target)
    ///
    /// The exit code of a container is that of its init process. The exit code is 128 + N if signal N ended the process, 124 after a timeout,
    /// and 125 after any other failure.
    #[arg(long)]
    status: bool,

    #[cfg(feature = "test-switches")]
    #[command(flatten)]
    switches: super::test_switches::WaitSwitches,
}

/// Exit codes of `--status` for outcomes of probe itself.
const TIMED_OUT: u8 = 124;
const OTHER: u8 = 125;

pub(super) fn run(args: &Args, messages: Messages) -> Result<ExitCode, Failure> {
    let wants_status = args.status;
    wait(args, messages).map_err(|mut failure| {
        if wants_status {
            failure.code = ExitCode::Child(OTHER);
        }
        failure
    })
}

fn wait(args: &Args, messages: Messages) -> Result<ExitCode, Failure> {
    let mut call = Invocation::new(messages, "wait", &args.wait)?;
    let tier = args.wait.backend.tier()?;
    let targets = &args.wait.targets;
    let mut resolver = targets.resolver();
    // A runtime may remove a target between its kill and this wait.
    let missing = args.wait.missing.or(Missing::Ok);
    let named = targets.pin_or_hint(&call.mounts, &mut resolver, tier, missing)?;
    check(args, &named)?;
    let process = args.status.then(|| clone_process(&named)).transpose()?;
    // The end of the process frees it faster than a drop.
    let runtime = ManuallyDrop::new(super::runtime()?);
    let _inside = runtime.enter();
    let (stop, flag) = stop::requested()?;
    let (mut session, plan, needed) =
        call.arm(named, resolver, tier, &args.wait, args.needed(), flag)?;
    #[cfg(feature = "test-switches")]
    args.switches.apply(&mut session);
    if let Some(process) = process.flatten() {
        session.want_status(process)?;
    }
    let mut backends = args.wait.backends(plan);
    runtime.block_on(async {
        backends.join_chosen(&mut session, needed).await?;
        call.announce(&mut session, &args.wait)?;
        let is_patient = args.wait.timeout != Some(Duration::ZERO);
        let mut interrupted = None;
        let outcome =
            if session.look()? >= needed || !is_patient && session.look_at_last()? >= needed {
                Outcome::Already
            } else if is_patient {
                backends.join_best(&mut session)?;
                call.watch_progress(&mut session);
                let deadline = args.wait.timeout.map(|it| (call.begun + it).into());
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
    /// How many targets must be done; `None` for all.
    fn needed(&self) -> Option<usize> {
        let count = if self.any { Some(1) } else { self.count };
        count.map(|count| count as usize)
    }

    fn conclude(
        &self,
        call: &Invocation,
        result: SessionResult,
        outcome: Outcome,
    ) -> Result<ExitCode, Failure> {
        let status = result.status;
        call.conclude(result, outcome.into())?;
        Ok(match outcome {
            Outcome::Timeout if self.status => ExitCode::Child(TIMED_OUT),
            Outcome::Timeout => ExitCode::TimedOut,
            _ if !self.status => ExitCode::Done,
            _ => ExitCode::Child(status.map_or_else(
                || {
                    call.messages.print("the exit status is unknown");
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

/// Refuses combinations of arguments that make no sense.
fn check(args: &Args, named: &[PinnedTarget]) -> Result<(), Failure> {
    let usage = |message: String| Failure::message(ExitCode::Usage, message);
    let has_status =
        |it: &PinnedTarget| it.subject.process.is_some() || it.subject.container.is_some();
    if args.status && !(named.len() == 1 && named.iter().all(has_status)) {
        let failure = usage("--status needs exactly one process or container".to_owned());
        return Err(failure.hint("give one PID or one --container, and no other target"));
    }
    for target in named {
        target.check(args.wait.until)?;
    }
    if let Some(needed) = args.needed().filter(|&needed| needed > named.len()) {
        let message = format!("cannot wait for {needed} of {} targets", named.len());
        return Err(usage(message).hint("use a smaller --count"));
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
