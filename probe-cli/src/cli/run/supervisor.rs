//! Waits for the end of a command and of everything that comes from it, hands signals on, and
//! kills.
//!
//! One thread waits for signals, among them SIGCHLD, for `cgroup.events`, and for the next
//! moment at which something is due.

use std::{
    collections::HashMap,
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use probe_user::{
    model::{ExitStatus, Signal},
    unstable::{
        diagnosis::Survivor,
        proc::send::send_to_child,
        run::{Member, Received, Signals},
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Args,
    everything::Everything,
    killing::{FIRST_KILL, Killing, MAX_KILL},
};
use crate::cli::{Failure, terminal::Messages};

const HUP: Signal = Signal(1);
const INT: Signal = Signal(2);
const QUIT: Signal = Signal(3);
const ALRM: Signal = Signal(14);
pub(super) const TERM: Signal = Signal(15);
const CHLD: Signal = Signal(17);
pub(super) const CONT: Signal = Signal(18);

/// SIGTSTP, SIGTTIN and SIGTTOU.
const STOPS: std::ops::RangeInclusive<u32> = 20..=22;

/// The first delay between two looks at the processes that are left, and the longest one. The
/// kernel notifies `cgroup.events` late, and not at all if another process removes the cgroup.
pub(super) const FIRST_LOOK: Duration = Duration::from_micros(100);
const MAX_LOOK: Duration = Duration::from_millis(250);

/// How a run ended.
pub(super) struct Ended {
    /// How the command ended; `None` if it is stuck.
    pub(super) status: Option<ExitStatus>,
    /// Time from the start of the command to its end.
    pub(super) command: Option<Duration>,
    /// Time from the start of the command to the end of its last process.
    pub(super) elapsed: Duration,
    /// The processes that outlived the command, or were killed with it.
    pub(super) leftovers: Vec<Leftover>,
    /// Whether `--timeout` ended the run.
    pub(super) timed_out: bool,
    /// The last signal to `probe` that ends a process by default.
    pub(super) interrupted: Option<Signal>,
    /// The processes that survive SIGKILL, or may not be killed.
    pub(super) stuck: Vec<Survivor>,
}

/// A process that the command left.
pub(super) struct Leftover {
    pub(super) member: Member,
    pub(super) action: &'static str,
}

pub(super) struct Supervisor<'a> {
    pub(super) args: &'a Args,
    pub(super) messages: Messages,
    pub(super) signals: Signals,
    pub(super) everything: Everything,
    pub(super) begun: Instant,
    pub(super) status: Option<ExitStatus>,
    pub(super) command: Option<Duration>,
    /// How the processes ended that this process has reaped.
    pub(super) endings: HashMap<u32, ExitStatus>,
    pub(super) leftovers: Vec<Member>,
    pub(super) timed_out: bool,
    pub(super) interrupted: Option<Signal>,
    pub(super) killing: Killing,
    pub(super) killed: Option<Instant>,
    pub(super) gives_up: bool,
    pub(super) is_named: bool,
    pub(super) next_look: Duration,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        args: &'a Args,
        messages: Messages,
        signals: Signals,
        everything: Everything,
        begun: Instant,
    ) -> Self {
        Self {
            args,
            messages,
            signals,
            everything,
            begun,
            status: None,
            command: None,
            endings: HashMap::new(),
            leftovers: Vec::new(),
            timed_out: false,
            interrupted: None,
            killing: Killing::No,
            killed: None,
            gives_up: false,
            is_named: false,
            next_look: FIRST_LOOK,
        }
    }

    pub(super) const fn everything(&self) -> &Everything {
        &self.everything
    }

    /// Returns when no process is left, or when the user gives up on those that are stuck.
    pub(super) fn run(&mut self) -> Result<Ended, Failure> {
        loop {
            let has_children = self.reap()?;
            let is_left = has_children || self.everything.is_populated()?;
            if !is_left || self.gives_up {
                // The key that ended the command has sent its signal to this process before.
                while let Some(received) = self.signals.next()? {
                    self.note(received);
                }
                return Ok(self.ended(is_left)?);
            }
            self.act()?;
            self.wait()?;
            while let Some(received) = self.signals.next()? {
                self.receive(received)?;
            }
        }
    }

    /// Reaps, and stops with the command. Returns whether a child is left.
    fn reap(&mut self) -> Result<bool, Failure> {
        let mut reports = Vec::new();
        let has_children = self
            .everything
            .reap(|pid, status| reports.push((pid, status)))?;
        let child = self.everything.child.as_raw_nonzero().get().cast_unsigned();
        for (pid, status) in reports {
            if let Some(signal) = status.stopping_signal() {
                let signal = Signal(signal.cast_unsigned());
                if pid == child && STOPS.contains(&signal.0) {
                    Signals::stop_by(signal)?;
                }
                continue;
            }
            let status = ExitStatus::from_wait_status(status.as_raw().cast_unsigned());
            self.endings.insert(pid, status);
            if pid == child && self.status.is_none() {
                self.status = Some(status);
                self.command = Some(self.begun.elapsed());
            }
        }
        Ok(has_children)
    }

    /// Does what is due: a time-out, a kill.
    fn act(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.deadline().is_some_and(|it| it <= now) && !self.timed_out {
            self.timed_out = true;
            self.terminate(now)?;
        }
        match self.killing {
            Killing::No if self.status.is_some() => self.judge_leftovers(now),
            Killing::Due(due) if due <= now => self.kill(now, FIRST_KILL),
            Killing::Again(due, pause) if due <= now => self.kill(now, (pause * 2).min(MAX_KILL)),
            _ => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.args.timeout.and_then(|it| self.begun.checked_add(it))
    }

    fn receive(&mut self, received: Received) -> Result<(), Failure> {
        let signal = received.signal;
        if signal == CHLD {
            return Ok(());
        }
        let ends = self.note(received);
        if self.status.is_none() {
            // The command may have ended before the signal came, and SIGCHLD comes after others.
            self.reap()?;
        }
        if self.status.is_none() {
            // The kernel sends the signals of a terminal to the command itself.
            if !received.by_kernel || signal == ALRM {
                match send_to_child(self.everything.child, signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => tracing::warn!(%errno, "cannot hand {} on", signal.name()),
                }
            }
            if let (TERM, Some(grace), Killing::No) = (signal, self.args.grace, self.killing) {
                self.killing = Killing::Due(Instant::now() + grace);
            } else if ends && self.killed.is_some() {
                self.gives_up = true;
            }
            return Ok(());
        }
        if STOPS.contains(&signal.0) {
            Signals::stop_by(signal)?;
        } else if ends && self.killed.is_some() {
            self.gives_up = true;
        } else if ends {
            self.kill(Instant::now(), FIRST_KILL)?;
        }
        Ok(())
    }

    /// Remembers a signal that ends a process by default. Returns whether it is one.
    fn note(&mut self, received: Received) -> bool {
        let ends = matches!(received.signal, HUP | INT | QUIT | TERM);
        if ends {
            self.interrupted = Some(received.signal);
        }
        ends
    }

    /// Waits for a signal, a change of the cgroup, or the next moment at which something is due.
    fn wait(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let deadline = self.deadline().filter(|_| !self.timed_out);
        let mut due = match self.killing {
            Killing::No => deadline,
            Killing::Due(due) => Some(deadline.map_or(due, |it| it.min(due))),
            Killing::Again(due, _) => Some(due),
        };
        let mut fds = vec![PollFd::from_borrowed_fd(
            self.signals.as_fd(),
            PollFlags::IN,
        )];
        if self.status.is_some() {
            let events = self.everything.pinned().and_then(|it| it.events());
            fds.extend(events.map(|it| PollFd::new(it, PollFlags::PRI)));
            let look = now + self.next_look;
            due = Some(due.map_or(look, |it| it.min(look)));
            self.next_look = (self.next_look * 2).min(MAX_LOOK);
        }
        let left = due.map(|it| it.saturating_duration_since(now));
        let left = left.and_then(|it| Timespec::try_from(it).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn ended(&mut self, is_left: bool) -> io::Result<Ended> {
        let stuck = if is_left { self.stuck()? } else { Vec::new() };
        let leftovers = std::mem::take(&mut self.leftovers).into_iter();
        let leftovers = leftovers.map(|member| {
            let is_stuck = stuck.iter().any(|it| it.pid == member.pid);
            let action = match self.endings.get(&member.pid) {
                _ if is_stuck => "stuck",
                Some(ExitStatus::Exited { .. }) => "ended",
                // A parent inside of the run has reaped it, or it died by a signal.
                _ if self.killed.is_some() => "killed",
                Some(ExitStatus::Signaled { signal, .. })
                    if *signal == TERM && !matches!(self.killing, Killing::No) =>
                {
                    "killed"
                }
                _ => "ended",
            };
            Leftover { member, action }
        });
        Ok(Ended {
            status: self.status,
            command: self.command,
            elapsed: self.begun.elapsed(),
            leftovers: leftovers.collect(),
            timed_out: self.timed_out,
            interrupted: self.interrupted,
            stuck,
        })
    }
}
