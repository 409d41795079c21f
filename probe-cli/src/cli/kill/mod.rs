//! `probe kill`: signal, and wait until it has worked.

mod refusal;
mod signaller;

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use probe_daemon::api::quantity::duration;
use probe_user::{
    model::{Signal, Until},
    unstable::{
        bpf::load::Plan,
        kill::{FREEZE_AFTER, KillTarget},
        proc::send::is_sendable,
    },
};

use self::signaller::{KillTargets, Signaller};
use super::{
    ExitCode, Failure,
    backend::{BackendChoice, BackendSelection},
    conclude::Call,
    named::{Absent, PinnedTarget, TargetArgs},
    socket::Socket,
    stop,
    terminal::Say,
    until::UntilArg,
};
use crate::session::Session;

/// Kill cgroups, containers, units or processes, and wait until they are gone
///
/// The wait is armed before the signal is sent, so that no exit is missed.
/// Everybody in a cgroup and below it gets the signal. A cgroup that forks faster
/// than it can be signalled is frozen meanwhile. If probe itself is killed by
/// SIGKILL just then, the cgroup stays frozen: how to thaw it is said on stderr
/// before. Where there is no cgroup.kill, SIGKILL goes also to those who show up
/// in the cgroup during the wait.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    /// Which signal: KILL, SIGTERM, RTMIN+3, 9. Others than KILL, TERM, INT and
    /// QUIT are not waited for unless -t or --until is given
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = signal)]
    signal: Signal,

    /// SIGTERM first, and SIGKILL to those that are left after this time
    #[arg(long, value_name = "DUR", value_parser = duration, conflicts_with = "signal")]
    grace: Option<Duration>,

    /// What to wait for: see probe wait
    #[arg(long, value_name = "STATE", value_enum)]
    until: Option<UntilArg>,

    /// Give up waiting after this time, --grace included: 250ms, 2.5 (seconds), 1m30s
    #[arg(short, long, value_name = "DUR", value_parser = duration)]
    timeout: Option<Duration>,

    /// Remove the cgroups, and those below them, once they are empty
    #[arg(long)]
    rm: bool,

    /// Also a cgroup that contains pid 1 or probe itself, also these two
    #[arg(long)]
    force: bool,

    /// Rounds before a cgroup is frozen: for tests, which cannot wait for a bomb
    /// that is fast enough
    #[arg(long, value_name = "ROUNDS", default_value_t = FREEZE_AFTER, hide = true)]
    freeze_after: u32,

    /// Load BPF before the signal, so that every exit is reported
    #[arg(long)]
    records: bool,

    /// What may wake the wait: see probe wait
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    backend: BackendChoice,

    #[command(flatten)]
    socket: Socket,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How long after the signal BPF is loaded: loading takes CPU time from the tasks
/// that are exiting, and most are gone by then.
const LOAD_AFTER: Duration = Duration::from_millis(50);

fn signal(text: &str) -> Result<Signal, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = (1..=64)
        .map(Signal)
        .filter(|&it| is_sendable(it))
        .find(|it| it.name().strip_prefix("SIG") == Some(name) || it.0.to_string() == text);
    found.ok_or_else(|| format!("'{text}' is no signal; write TERM, SIGTERM or 15"))
}

pub(super) fn run(args: &Args, say: Say) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let tier = args.backend.tier()?;
    let mut call = Call::new(begun, say, "kill", args.json)?;
    let named = args.targets.pin(&call.mounts, tier, Absent::default())?;
    let targets = args.check(&named)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let (stop, flag) = stop::requested_by_any()?;
    let targets = KillTargets::new(args, targets, say, begun, flag.clone());
    if !args.waits() {
        let failure = targets.signal_once()?;
        return failure.map_or(Ok(ExitCode::Done), Err);
    }
    let resolver = args.targets.resolver();
    let (mut session, plan, needed) = call.arm(named, tier, (args.until, None), resolver, flag)?;
    runtime.block_on(async {
        args.join_backends(&mut session, plan, needed).await?;
        call.watch_progress(&mut session);
        let mut interrupted = None;
        let mut signaller = Signaller::new(args, targets, begun);
        let (end, failure) = signaller
            .run(
                &mut session,
                needed,
                pin!(async { interrupted = Some(stop.await) }),
            )
            .await?;
        call.decided();
        call.conclude(session.finish(end.outcome).await?, end)?;
        match (interrupted, failure) {
            (Some(signal), _) => Ok(ExitCode::Signal(signal)),
            (None, Some(failure)) => Err(failure),
            (None, None) if end.is_over() => Ok(ExitCode::Done),
            (None, None) => Ok(ExitCode::TimedOut),
        }
    })
}

impl Args {
    fn waits(&self) -> bool {
        // KILL, TERM, INT, QUIT
        matches!(self.signal.0, 9 | 15 | 2 | 3)
            || self.timeout.is_some()
            || self.until.is_some()
            || self.rm
    }

    /// Refuses what makes no sense and what must not be killed, before any signal.
    fn check(&self, named: &[PinnedTarget]) -> Result<Vec<KillTarget>, Failure> {
        let mut targets = Vec::new();
        for target in named {
            target.check(self.until)?;
            if self.rm
                && (target.subject.process.is_some()
                    || matches!(self.until, Some(UntilArg(Until::Removed))))
            {
                let message = "--rm is for cgroups that are waited for until empty";
                return Err(Failure::message(ExitCode::Usage, message));
            }
            if let Some(pinned) = &target.pinned {
                targets.push(KillTarget::of(pinned)?);
            }
        }
        for target in &targets {
            target
                .check(self.signal, self.force)
                .map_err(refusal::refused)?;
        }
        Ok(targets)
    }

    /// Lets backends join before any signal, so that exits are reported from the first
    /// one on, unless loading BPF would take the CPU from the tasks that are exiting.
    /// None is asked if the targets are gone already.
    async fn join_backends(
        &self,
        session: &mut Session,
        plan: Plan,
        needed: usize,
    ) -> Result<(), Failure> {
        let mut backends = BackendSelection {
            choice: self.backend,
            socket: &self.socket,
            timeout: self.timeout,
            plan: Some(plan),
        };
        backends.join_chosen(session, needed).await?;
        if session.look()? < needed {
            let delay = (!self.records).then_some(LOAD_AFTER);
            backends.join_best_now(session, delay).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_with_and_without_sig_and_a_number() {
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(signal(text), Ok(Signal(15)), "{text}");
        }
        assert_eq!(signal("RTMIN+3"), Ok(Signal(37)));
        for wrong in ["", "0", "-9", "65", "32", "SIG", "SIGSIGTERM", "FOO", "9 "] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }
}
