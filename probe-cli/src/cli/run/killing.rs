//! Kills what is left of a run.

use std::{
    io,
    time::{Duration, Instant},
};

use probe_user::{
    model::Signal,
    unstable::diagnosis::{self, Observer, Survivor},
};

use super::{
    LeftoverPolicy, report,
    supervisor::{CONT, FIRST_LOOK, Supervisor, TERM},
};
use crate::cli::Failure;

/// The delay between two kills of what is left.
pub(super) const FIRST_KILL: Duration = Duration::from_millis(2);
pub(super) const MAX_KILL: Duration = Duration::from_millis(100);

/// How long a cgroup without living members may be populated after the end of the command before
/// it is killed: the last task leaves it a moment after its end.
const SETTLE: Duration = Duration::from_millis(20);

/// After this time a process that survives SIGKILL is named, with the reason.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far the kill of everything is.
#[derive(Clone, Copy)]
pub(super) enum Killing {
    No,
    /// SIGTERM was sent, and SIGKILL is due.
    Due(Instant),
    /// SIGKILL was sent, and is due again.
    Again(Instant, Duration),
}

impl Supervisor<'_> {
    /// The command has ended, and processes are left.
    pub(super) fn judge_leftovers(&mut self, now: Instant) -> Result<(), Failure> {
        let found = self.note_leftovers()?;
        let is_settling = self
            .command
            .is_some_and(|it| self.begun + it + SETTLE > now);
        if self.args.leftover == LeftoverPolicy::Wait || found == 0 && is_settling {
            return Ok(());
        }
        self.terminate(now)
    }

    /// Remembers the processes that live besides the command. Returns their number.
    pub(super) fn note_leftovers(&mut self) -> io::Result<usize> {
        let child = self.everything.child.as_raw_nonzero().get().cast_unsigned();
        let mut living = self.everything.living()?;
        living.retain(|it| it.pid != child);
        let count = living.len();
        living.retain(|it| !self.leftovers.iter().any(|known| known.is_same_as(it)));
        self.leftovers.extend(living);
        Ok(count)
    }

    /// Sends SIGTERM if there is a time of grace, else SIGKILL.
    pub(super) fn terminate(&mut self, now: Instant) -> Result<(), Failure> {
        match (self.args.grace, self.killing) {
            (Some(grace), Killing::No) if !grace.is_zero() => {
                self.note_leftovers()?;
                self.everything.signal(TERM)?;
                // A stopped process receives SIGTERM when it continues.
                self.everything.signal(CONT)?;
                self.killing = Killing::Due(now + grace);
                Ok(())
            }
            (_, Killing::No) => self.kill(now, FIRST_KILL),
            _ => Ok(()),
        }
    }

    pub(super) fn kill(&mut self, now: Instant, pause: Duration) -> Result<(), Failure> {
        if self.killed.is_none() {
            self.note_leftovers()?;
        }
        let killed = *self.killed.get_or_insert(now);
        let refusing = self.everything.signal(Signal::KILL)?;
        self.killing = Killing::Again(Instant::now() + pause, pause);
        self.next_look = FIRST_LOOK;
        if !refusing.is_empty() && pause == MAX_KILL {
            self.gives_up = true;
        }
        if now.duration_since(killed) > PATIENCE && !self.is_named {
            self.is_named = true;
            let stuck = self.stuck()?;
            let list: String = stuck.iter().map(report::survivor).collect();
            self.messages.print(&format!(
                "probe: waiting for processes that survive SIGKILL:{list}\n\
                 hint: SIGTERM ends probe and leaves them"
            ));
        }
        Ok(())
    }

    pub(super) fn stuck(&self) -> io::Result<Vec<Survivor>> {
        let living = self.everything.living()?;
        let pids: Vec<_> = living.iter().map(|it| it.pid).collect();
        Ok(diagnosis::describe(&pids, &Observer::measuring()))
    }
}
