//! `probe kill`: signal, and wait until it has worked.

use std::{
    future::Future,
    io,
    path::Path,
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    ExitCode, Failure,
    choice::{self, Asked},
    conclude::Call,
    ladder::Ladder,
    named::{Absent, Named, Targets},
    quantity::duration,
    remove::{self, Removed},
    socket::Socket,
    stop,
    terminal::Say,
};
use crate::{
    kill::{FREEZE_AFTER, KillError, Order, Report, Target},
    pipeline::wait::Session,
    signal::Signal,
    source::send::is_sendable,
    waiter::{Backend, Outcome, Until},
};

/// Kill cgroups, containers, units or processes, and wait until they are gone
///
/// The wait is armed before the signal is sent, so that no exit is missed.
/// Everybody in a cgroup and below it gets the signal. A cgroup that forks faster
/// than it can be signalled is frozen meanwhile, which is said on stderr before;
/// if probe itself is killed by SIGKILL just then, the cgroup stays frozen: write
/// 0 to its cgroup.freeze (v1: THAWED to freezer.state).
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Args {
    #[command(flatten)]
    targets: Targets,

    /// Which signal: KILL, SIGTERM, RTMIN+3, 9. Others than KILL, TERM, INT and
    /// QUIT are not waited for unless -t or --until is given
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = signal)]
    signal: Signal,

    /// SIGTERM first, and SIGKILL to those that are left after this time
    #[arg(long, value_name = "DUR", value_parser = duration, conflicts_with = "signal")]
    grace: Option<Duration>,

    /// What to wait for: see probe wait
    #[arg(long, value_name = "STATE", value_parser = choice::until())]
    until: Option<Until>,

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
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = choice::backend())]
    backend: Asked,

    #[command(flatten)]
    socket: Socket,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Loading BPF takes the CPU that the dying need: most are gone by then.
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
    let tier = choice::tier(args.backend)?;
    let mut call = Call::new(begun, say, "kill", args.json)?;
    let named = args.targets.pin(&call.mounts, tier, Absent::default())?;
    let quarry = args.check(&named, tier)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let (stop, flag) = stop::requested()?;
    if !args.waits() {
        let report = args.signal(&quarry, args.signal, tier, say)?;
        return failed(&report).map_or(Ok(ExitCode::Done), Err);
    }
    let telling = call.telling(&named, args.targets.resolver(), flag)?;
    let mut plan = Some(Call::plan(&named, &telling.wanted)?);
    let mut session = Session::new(tier, telling);
    let needed = call.arm(&mut session, named, args.until, None)?;
    runtime.block_on(async {
        let ladder = Ladder {
            backend: args.backend,
            socket: &args.socket,
            timeout: args.timeout,
        };
        ladder.named(&mut session, &mut plan, needed).await?;
        if session.look()? < needed {
            let delay = (!args.records).then_some(LOAD_AFTER);
            ladder.best_now(&mut session, &mut plan, delay).await?;
        }
        call.watch_progress(&mut session);
        let mut interrupted = None;
        let run = Run {
            args,
            quarry: &quarry,
            tier,
            say,
            begun,
        };
        let (outcome, failure) = {
            let mut stop = pin!(async { interrupted = Some(stop.await) });
            let ended = run.to_the_end(&mut session, needed, stop.as_mut()).await?;
            run.removed(ended, stop).await
        };
        call.decided();
        session.settle(outcome).await?;
        let is_over = matches!(outcome, Outcome::Done | Outcome::Already);
        call.conclude(session.finish()?, outcome)?;
        match (interrupted, failure) {
            (Some(signal), _) => Ok(ExitCode::Signal(signal)),
            (None, Some(failure)) => Err(failure),
            (None, None) if is_over => Ok(ExitCode::Done),
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

    /// What makes no sense, and what must not be killed: before any signal.
    fn check(&self, named: &[Named], tier: Backend) -> Result<Vec<Target>, Failure> {
        let mut quarry = Vec::new();
        for target in named {
            target.check(self.until)?;
            if self.rm && (target.subject.process.is_some() || self.until == Some(Until::Removed)) {
                let message = "--rm is for cgroups that are waited for until empty";
                return Err(Failure::message(ExitCode::Usage, message));
            }
            if let Some(pinned) = &target.pinned {
                quarry.push(Target::of(pinned)?);
            }
        }
        let mut silent = |_: &Path| {};
        let order = self.order(self.signal, tier, &mut silent);
        for target in &quarry {
            target.check(&order).map_err(refused)?;
        }
        Ok(quarry)
    }

    fn order<'a>(
        &self,
        signal: Signal,
        tier: Backend,
        announce: &'a mut dyn FnMut(&Path),
    ) -> Order<'a> {
        Order {
            signal,
            force: self.force,
            tier,
            freeze_after: self.freeze_after,
            announce,
        }
    }

    fn signal(
        &self,
        quarry: &[Target],
        signal: Signal,
        tier: Backend,
        say: Say,
    ) -> Result<Report, Failure> {
        // Not by `say`: who asked for quiet must know as well what may stay.
        let mut announce = |path: &Path| tracing::error!("froze {}", path.display());
        let mut all = Report::default();
        for target in quarry {
            let report = target
                .signal(&mut self.order(signal, tier, &mut announce))
                .map_err(refused)?;
            for path in &report.frozen {
                let path = path.display();
                say.line(&format!("{path} is frozen: they die when it is thawed"));
            }
            for path in &report.unsettled {
                let path = path.display();
                say.line(&format!("{path} gets new processes all the time"));
            }
            all.signalled.extend(report.signalled);
            all.unreached.extend(report.unreached);
        }
        Ok(all)
    }
}

/// From the first signal to the outcome.
struct Run<'a> {
    args: &'a Args,
    quarry: &'a [Target],
    tier: Backend,
    say: Say,
    begun: Instant,
}

impl Run<'_> {
    async fn to_the_end(
        &self,
        session: &mut Session,
        needed: usize,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(Outcome, Option<Failure>), Failure> {
        if session.look()? >= needed {
            return Ok((Outcome::Already, None));
        }
        let deadline = self.args.timeout.map(|timeout| self.begun + timeout);
        if let Some(grace) = self.args.grace {
            // Whoever cannot be reached now is told of after SIGKILL.
            self.send(Signal(15))?;
            let end = self.begun + grace;
            let first = deadline.map_or(end, |deadline| deadline.min(end));
            let outcome = session
                .run(needed, Some(first.into()), stop.as_mut())
                .await?;
            if outcome != Outcome::Timeout || deadline.is_some_and(|it| it <= end) {
                return Ok((outcome, None));
            }
        }
        let failure = failed(&self.send(self.args.signal)?);
        let deadline = match (deadline, &failure) {
            // Nobody knows when those end that were not reached.
            (None, Some(_)) => Some(Instant::now()),
            (deadline, _) => deadline,
        };
        let outcome = session.run(needed, deadline.map(Into::into), stop).await?;
        Ok((outcome, failure))
    }

    /// Before the verdict: what could not be removed is not done.
    async fn removed(
        &self,
        (outcome, failure): (Outcome, Option<Failure>),
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> (Outcome, Option<Failure>) {
        if !self.args.rm || !matches!(outcome, Outcome::Done | Outcome::Already) {
            return (outcome, failure);
        }
        let deadline = self.args.timeout.map(|timeout| self.begun + timeout);
        match remove::all(self.quarry, deadline, stop).await {
            Removed::All => (outcome, failure),
            Removed::Interrupted => (Outcome::Interrupted, failure),
            Removed::Not(why) => (Outcome::Timeout, Some(why)),
        }
    }

    fn send(&self, signal: Signal) -> Result<Report, Failure> {
        self.args.signal(self.quarry, signal, self.tier, self.say)
    }
}

/// Why it did not work for some.
fn failed(report: &Report) -> Option<Failure> {
    let first = report.unreached.first()?;
    let mut message = format!("{} could not be signalled:", report.unreached.len());
    for one in &report.unreached {
        let why = io::Error::from(one.errno);
        let line = match one.pid {
            0 => "\n  some in a pid namespace that is not ours".to_owned(),
            pid => format!("\n  {pid:>7} {}: {why}", one.comm.escape_debug()),
        };
        message.push_str(&line);
    }
    Some(match report.forbidden().next() {
        Some(_) => Failure::message(ExitCode::NotAvailable, message)
            .hint("run it as root, or as the user they belong to"),
        None if first.pid == 0 => Failure::message(ExitCode::Failure, message)
            .hint("run it in the pid namespace of the machine"),
        None => Failure::message(ExitCode::Failure, message),
    })
}

fn refused(error: KillError) -> Failure {
    match &error {
        KillError::Threaded { root, .. } => {
            let hint = format!("its processes belong to {}", root.display());
            Failure::new(ExitCode::Usage, error).hint(hint)
        }
        KillError::Precious { .. } | KillError::PreciousProcess { .. } => {
            Failure::new(ExitCode::Usage, error).hint("--force does it all the same")
        }
        KillError::Signal { .. } => Failure::new(ExitCode::Usage, error),
        KillError::Members { source, .. } => {
            let code = match Errno::from_io_error(source) {
                Some(Errno::ACCESS | Errno::PERM) => ExitCode::NotAvailable,
                _ => ExitCode::Failure,
            };
            Failure::new(code, error)
        }
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
