//! A kill, from its first signal to the removal of its cgroups.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use probe_daemon::api::Outcome;
use probe_user::{
    model::Signal,
    unstable::{
        kernel::kill_seq,
        kill::{KillTarget, Report, SignalRequest},
    },
};

use super::{Args, refusal};
use crate::{
    cli::{Failure, conclude::End, invocation::Invocation, remove, terminal::Messages},
    output::StopFlag,
    session::Session,
};

/// The first delay before a cgroup is read again for processes that its list may have missed.
const RETRY_MIN: Duration = Duration::from_millis(10);
/// The longest of these delays, each of which is twice the previous one.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// The outcome of sending a signal.
#[derive(Default)]
struct Sent {
    report: Report,
    /// Indices of the targets in which a process may have been missed.
    retry: Vec<usize>,
}

/// One kill: it signals, waits, signals again, and removes.
pub(super) struct Signaller<'a> {
    args: &'a Args,
    targets: Vec<KillTarget>,
    messages: Messages,
    begun: Instant,
    deadline: Option<Instant>,
    stop: StopFlag,
    /// Indices of the targets of which a cgroup was killed by `cgroup.kill`.
    by_cgroup_kill: RefCell<BTreeSet<usize>>,
    /// Pids of the processes that got a signal.
    signalled: RefCell<BTreeSet<u32>>,
    /// Why some processes cannot be signalled, or a cgroup cannot be removed.
    failure: Option<Failure>,
}

impl<'a> Signaller<'a> {
    pub(super) fn new(
        args: &'a Args,
        targets: Vec<KillTarget>,
        call: &Invocation,
        stop: StopFlag,
    ) -> Self {
        Self {
            args,
            targets,
            messages: call.messages,
            begun: call.begun,
            deadline: args.wait.timeout.map(|timeout| call.begun + timeout),
            stop,
            by_cgroup_kill: RefCell::default(),
            signalled: RefCell::default(),
            failure: None,
        }
    }

    /// Signals without a wait. Returns the processes that could not be signalled as a failure.
    pub(super) fn signal_once(&self) -> Result<Option<Failure>, Failure> {
        let sent = self.signal(self.args.signal)?;
        Ok(refusal::unreached(&sent.report))
    }

    fn signal(&self, signal: Signal) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        for index in 0..self.targets.len() {
            self.signal_one(index, signal, &mut sent)?;
        }
        for path in &sent.report.frozen {
            let path = path.display();
            self.messages.print(&format!(
                "{path} is frozen: its processes exit when it is thawed"
            ));
        }
        for path in &sent.report.unsettled {
            let path = path.display();
            self.messages
                .print(&format!("new processes keep appearing in {path}"));
        }
        Ok(sent)
    }

    /// Sends SIGKILL again, without repeating the messages of the first signal.
    fn kill_again(&self, before: &[usize]) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        for &index in before {
            self.signal_one(index, Signal::KILL, &mut sent)?;
        }
        Ok(sent)
    }

    fn signal_one(&self, index: usize, signal: Signal, sent: &mut Sent) -> Result<(), Failure> {
        let mut before_freeze = |path: &Path, thaw: &str| {
            // Printed despite -q, because the cgroup may stay frozen.
            Messages::print_always(&format!(
                "probe: freezing {}: it forks faster than it can be signalled\n\
                 hint: if probe is killed before it thaws the cgroup, run: {thaw}",
                path.display()
            ));
        };
        let is_late = || self.deadline.is_some_and(|it| it <= Instant::now());
        let should_stop = || self.stop.load(Ordering::Relaxed) || is_late();
        let mut request = SignalRequest {
            signal,
            freeze_after: self.args.freeze_after(),
            should_stop: &should_stop,
            before_freeze: &mut before_freeze,
        };
        let report = self.targets[index]
            .signal(&mut request)
            .map_err(refusal::refused)?;
        if report.used_cgroup_kill {
            self.by_cgroup_kill.borrow_mut().insert(index);
        }
        self.signalled.borrow_mut().extend(report.signalled);
        if report.may_have_missed {
            sent.retry.push(index);
        }
        sent.report.unreached.extend(report.unreached);
        sent.report.frozen.extend(report.frozen);
        sent.report.unsettled.extend(report.unsettled);
        Ok(())
    }

    /// Number of processes that got a signal.
    pub(super) fn killed(&self) -> u64 {
        self.signalled.borrow().len() as u64
    }

    /// The cgroups that are left behind and in which the kernel kills processes that are started
    /// directly in them.
    pub(super) fn kills_clones(&self) -> Vec<PathBuf> {
        let killed = self.by_cgroup_kill.borrow();
        let targets = killed.iter().map(|&index| &self.targets[index]);
        let left = targets.flat_map(KillTarget::cgroups);
        let left = left.filter(|it| it.is_v2() && it.exists());
        let left: Vec<_> = left.map(|it| it.path().to_owned()).collect();
        if left.is_empty() || !kill_seq::is_counted() {
            return Vec::new();
        }
        left
    }

    pub(super) async fn run(
        &mut self,
        session: &mut Session,
        needed: usize,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(End, Option<Failure>), Failure> {
        let outcome = if session.look()? >= needed {
            Outcome::Already
        } else {
            match self.terminate(session, needed, stop.as_mut()).await? {
                Some(outcome) => outcome,
                None => self.kill(session, needed, stop.as_mut()).await?,
            }
        };
        let end = match outcome {
            // Removed before the verdict, because the verdict reports a failed removal.
            Outcome::Done | Outcome::Already if self.args.rm => self.remove(outcome, stop).await,
            _ => outcome.into(),
        };
        Ok((end, self.failure.take()))
    }

    /// Sends SIGTERM and waits for the grace time. Returns `None` if SIGKILL has to follow.
    async fn terminate(
        &self,
        session: &mut Session,
        needed: usize,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Outcome>, Failure> {
        let Some(grace) = self.args.grace else {
            return Ok(None);
        };
        // Processes that cannot be signalled are reported after SIGKILL.
        self.signal(Signal(15))?;
        let end = self.begun + grace;
        let first = self.deadline.map_or(end, |deadline| deadline.min(end));
        let outcome = session.follow(needed, Some(first.into()), stop).await?;
        let is_last = self.deadline.is_some_and(|deadline| deadline <= end);
        Ok(Some(outcome).filter(|&it| it != Outcome::Timeout || is_last))
    }

    async fn kill(
        &mut self,
        session: &mut Session,
        needed: usize,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Outcome, Failure> {
        let mut sent = self.signal(self.args.signal)?;
        let mut pause = RETRY_MIN;
        loop {
            self.note_unreached(&sent.report);
            let next = (!sent.retry.is_empty()).then(|| Instant::now() + pause);
            let first = [next, self.deadline].into_iter().flatten().min();
            let outcome = session
                .follow(needed, first.map(Into::into), stop.as_mut())
                .await?;
            let is_last = self.deadline.is_some_and(|it| it <= Instant::now());
            if outcome != Outcome::Timeout || is_last {
                return Ok(outcome);
            }
            sent = self.kill_again(&sent.retry)?;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    fn note_unreached(&mut self, report: &Report) {
        if self.failure.is_none() {
            self.failure = refusal::unreached(report);
            if self.failure.is_some() {
                // The processes that were not signalled may live forever.
                self.deadline.get_or_insert_with(Instant::now);
            }
        }
    }

    async fn remove(&mut self, outcome: Outcome, stop: Pin<&mut impl Future<Output = ()>>) -> End {
        match remove::all(&self.targets, self.deadline, stop).await {
            Ok(true) => outcome.into(),
            Ok(false) => Outcome::Interrupted.into(),
            Err(failure) => {
                self.failure = Some(failure);
                End {
                    outcome,
                    removal_failed: true,
                }
            }
        }
    }
}
