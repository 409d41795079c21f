//! `probe kill`: signals targets, and waits until they are gone.

mod refusal;
mod signaller;

use std::{ffi::OsString, mem::ManuallyDrop, pin::pin, time::Duration};

use probe_daemon::api::quantity::duration;
use probe_user::{
    model::{Runtime, Signal, Until},
    unstable::{bpf::load::Plan, kill::KillTarget, proc::send::is_sendable},
};

use self::signaller::Signaller;
use super::{
    ExitCode, Failure,
    invocation::{Invocation, WaitArgs},
    named::{Missing, PinnedTarget},
    stop,
    terminal::Messages,
    until::UntilArg,
};
use crate::session::{Explainer, Session};

/// Kill cgroups, containers, units or processes, and wait until they are gone
///
/// The wait is armed before the signal is sent, so that no exit is missed. Every
/// process in a cgroup and its descendants gets the signal. On a kernel without
/// cgroup.kill (before Linux 5.14), SIGKILL is sent also to processes that appear
/// in the cgroup during the wait.
///
/// A cgroup that forks faster than it can be signalled is frozen meanwhile. If
/// SIGKILL ends probe just then, the cgroup stays frozen; before it freezes a
/// cgroup, probe prints the command that thaws it to stderr.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Args {
    #[command(flatten)]
    wait: WaitArgs,

    /// Signal to send: KILL, SIGTERM, RTMIN+3 or 9; also as -KILL or -9
    ///
    /// probe waits after KILL, TERM, INT and QUIT. After any other signal it waits
    /// only with --timeout, --until or --rm.
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = signal)]
    signal: Signal,

    /// Send SIGTERM, and SIGKILL to what is left after this time (250ms, 2.5 or 1m30s)
    #[arg(long, value_name = "DUR", value_parser = duration, conflicts_with = "signal")]
    grace: Option<Duration>,

    /// Remove the cgroups and their descendants once they are empty
    #[arg(long)]
    rm: bool,

    /// Kill even pid 1, probe itself, or a cgroup that contains one of them
    #[arg(long)]
    force: bool,

    /// Thaw the frozen cgroups that keep the processes from dying, also ancestors
    ///
    /// A frozen ancestor may hold other processes, which then run again.
    #[arg(long)]
    thaw: bool,

    /// Abort the FUSE connection that a killed process waits for
    ///
    /// Only a connection that certainly is the one. Every request of it fails, also those of
    /// other processes, and its file system cannot be used until it is mounted again.
    #[arg(long)]
    abort_fuse: bool,

    #[cfg(feature = "test-switches")]
    #[command(flatten)]
    switches: super::test_switches::KillSwitches,

    /// Load BPF before sending the signal, so that every exit is reported
    #[arg(long)]
    records: bool,
}

/// Delay between the signal and the loading of BPF. Loading takes CPU time from the exiting tasks,
/// and most of them are gone by then.
const BPF_LOAD_DELAY: Duration = Duration::from_millis(50);

/// Replaces `-9`, `-KILL` and `-SIGKILL` with `--signal`, as kill(1) has them.
pub(super) fn with_signal_options(args: Vec<OsString>) -> Vec<OsString> {
    let mut is_option = true;
    let replaced = args.into_iter().map(|arg| {
        is_option &= arg != "--";
        let name = arg.to_str().and_then(|it| it.strip_prefix('-'));
        // Lower case and other dashes are options of probe.
        let is_name = |it: &&str| it.starts_with(|first: char| first.is_ascii_uppercase());
        let is_signal = |it: &&str| is_name(it) || it.parse::<u8>().is_ok();
        match name
            .filter(is_signal)
            .filter(|it| is_option && signal(it).is_ok())
        {
            Some(name) => format!("--signal={name}").into(),
            None => arg,
        }
    });
    replaced.collect()
}

fn signal(text: &str) -> Result<Signal, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = (1..=64)
        .map(Signal)
        .filter(|&it| is_sendable(it))
        .find(|it| it.name().strip_prefix("SIG") == Some(name) || it.0.to_string() == text);
    found.ok_or_else(|| {
        format!("invalid signal '{text}' (expected a name or number, such as TERM, SIGTERM or 15)")
    })
}

pub(super) fn run(args: &Args, messages: Messages) -> Result<ExitCode, Failure> {
    let mut call = Invocation::new(messages, "kill", &args.wait)?;
    call.removes.set(args.rm);
    call.sent
        .set(Some(args.signal).filter(|&it| it != Signal::KILL));
    let tier = args.wait.backend.tier()?;
    let named = &args.wait.targets;
    let mut resolver = named.resolver();
    let missing = args.wait.missing.or(Missing::Error);
    let named = named.pin_or_hint(&call.mounts, &mut resolver, tier, missing)?;
    let targets = args.check(&named)?;
    if args.waits() {
        args.tell_restarts(&named, messages);
    }
    // The end of the process frees it faster than a drop.
    let runtime = ManuallyDrop::new(crate::cli::runtime()?);
    let _inside = runtime.enter();
    let (stop, flag) = stop::requested_by_any()?;
    let mut signaller = Signaller::new(args, targets, &call, flag.clone());
    if !args.waits() {
        let failure = signaller.signal_once()?;
        return failure.map_or(Ok(ExitCode::Done), Err);
    }
    let (mut session, plan, needed) = call.arm(named, resolver, tier, &args.wait, None, flag)?;
    runtime.block_on(async {
        args.join_backends(&mut session, plan, needed).await?;
        call.announce(&mut session, &args.wait)?;
        call.watch_progress(&mut session);
        session.explain(args.explainer(&call));
        let mut interrupted = None;
        let ended = {
            let stop = pin!(async { interrupted = Some(stop.await) });
            signaller.run(&mut session, needed, stop).await
        };
        let (end, failure) = ended?;
        *call.kills_clones.borrow_mut() = signaller.kills_clones();
        call.killed.set(Some(signaller.killed()));
        call.decided();
        call.conclude(session.finish(end.outcome).await?, end)?;
        match (interrupted, failure) {
            (Some(signal), _) => Ok(ExitCode::Signal(signal)),
            (None, Some(failure)) => Err(failure),
            (None, None) if end.is_complete() => Ok(ExitCode::Done),
            (None, None) => Ok(ExitCode::TimedOut),
        }
    })
}

impl Args {
    /// Rounds of signals before a cgroup is frozen.
    const fn freeze_after(&self) -> u32 {
        #[cfg(feature = "test-switches")]
        return self.switches.freeze_after;
        #[cfg(not(feature = "test-switches"))]
        probe_user::unstable::kill::FREEZE_AFTER
    }

    fn waits(&self) -> bool {
        // KILL, TERM, INT, QUIT
        matches!(self.signal.0, 9 | 15 | 2 | 3)
            || self.wait.timeout.is_some()
            || self.wait.until.is_some()
            || self.rm
    }

    /// A kill without a time limit never waits in silence.
    fn explainer(&self, call: &Invocation) -> Explainer {
        let messages = call.messages;
        Explainer {
            is_talkative: self.wait.timeout.is_none(),
            sent: call.sent.get(),
            thaws: self.thaw,
            aborts_fuse: self.abort_fuse,
            print: Box::new(move |text| messages.print(text)),
        }
    }

    /// Tells which containers their engine starts again. A restart by Docker makes new cgroups,
    /// so the wait ends although the container runs again a moment later.
    fn tell_restarts(&self, named: &[PinnedTarget], messages: Messages) {
        let containers = named.iter().filter_map(|it| it.subject.container.as_ref());
        let mut dockers = containers
            .filter(|it| it.runtime == Some(Runtime::Docker.as_str()))
            .peekable();
        if dockers.peek().is_none() {
            return;
        }
        let roots = self.wait.targets.state_roots();
        for container in dockers {
            let id = container.id.as_deref().unwrap_or_default();
            let name = container.name.as_deref().unwrap_or(id);
            if let Some(policy) = roots.restart_policy(id) {
                messages.print(&format!(
                    "Docker starts {name} again when it ends: its restart policy is {policy}\n\
                     hint: to prevent that, run `docker update --restart=no {name}` first"
                ));
            }
        }
    }

    /// Before any signal, refuses arguments that make no sense and targets that must not be
    /// killed.
    fn check(&self, named: &[PinnedTarget]) -> Result<Vec<KillTarget>, Failure> {
        let mut targets = Vec::new();
        for target in named {
            target.check(self.wait.until)?;
            if self.rm
                && (target.subject.process.is_some()
                    || matches!(self.wait.until, Some(UntilArg(Until::Removed))))
            {
                let message = "--rm applies to cgroups only, and not with --until removed";
                let failure = Failure::message(ExitCode::Usage, message);
                return Err(failure.hint("give no PID, and do not use --until removed"));
            }
            if let Some(pinned) = &target.pinned {
                let kill = KillTarget::of(pinned)?;
                let is_container = target.subject.container.is_some();
                targets.push(if is_container { kill.with_thaw() } else { kill });
            }
        }
        for target in &targets {
            target
                .check(self.signal, self.force)
                .map_err(refusal::refused)?;
        }
        Ok(targets)
    }

    /// Lets backends join before any signal, so that the first exit is reported too. BPF is
    /// an exception: without `--records` it is loaded later, because loading it takes the CPU
    /// from the exiting tasks. No backend joins if the targets are gone already.
    async fn join_backends(
        &self,
        session: &mut Session,
        plan: Plan,
        needed: usize,
    ) -> Result<(), Failure> {
        let mut backends = self.wait.backends(plan);
        backends.join_chosen(session, needed).await?;
        if session.look()? < needed {
            let delay = (!self.records).then_some(BPF_LOAD_DELAY);
            backends.join_best_now(session, delay).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_parse_from_names_with_and_without_sig_and_from_numbers() {
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(signal(text), Ok(Signal(15)), "{text}");
        }
        assert_eq!(signal("RTMIN+3"), Ok(Signal(37)));
        for wrong in ["", "0", "-9", "65", "32", "SIG", "SIGSIGTERM", "FOO", "9 "] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signals_are_options_too_as_for_kill_1() {
        let replaced = |line: &str| {
            let words = line.split(' ').map(OsString::from).collect();
            let words = with_signal_options(words);
            words.join(" ".as_ref()).into_string().expect("UTF-8")
        };
        for (line, wanted) in [
            ("kill -9 1", "kill --signal=9 1"),
            ("kill -KILL -q 1", "kill --signal=KILL -q 1"),
            ("kill -SIGTERM -t 5 1", "kill --signal=SIGTERM -t 5 1"),
            ("kill -RTMIN+3 1", "kill --signal=RTMIN+3 1"),
            ("kill -0 -V -e -t5 --rm -", "kill -0 -V -e -t5 --rm -"),
            ("kill -FOO -99 -- -9", "kill -FOO -99 -- -9"),
        ] {
            assert_eq!(replaced(line), wanted);
        }
    }
}
