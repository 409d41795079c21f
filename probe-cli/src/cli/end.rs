//! How a wait or a kill ended, before it becomes a verdict and an exit code.

use std::io;

use probe_daemon::api::Outcome;
use probe_user::unstable::{
    proc::survivors::Migrant,
    wait::{Met, Wait},
};

/// How it ended: the wait, and what had to be done after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// The wait succeeded, but a cgroup could not be removed.
    pub(super) is_left: bool,
}

impl End {
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            is_left: false,
        }
    }

    pub(super) const fn not_removed(outcome: Outcome) -> Self {
        Self {
            outcome,
            is_left: true,
        }
    }

    /// Whether the wait succeeded.
    pub(super) const fn is_met(self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Already)
    }

    /// Whether nothing is left to do.
    pub(super) const fn is_over(self) -> bool {
        self.is_met() && !self.is_left
    }
}

/// What the waits of the targets found.
pub(super) struct Findings {
    end: End,
    pub(super) survivors: Vec<u32>,
    pub(super) migrated: Vec<Migrant>,
    pub(super) exact: bool,
}

impl Findings {
    pub(super) const fn new(end: End) -> Self {
        Self {
            end,
            survivors: Vec::new(),
            migrated: Vec::new(),
            exact: true,
        }
    }

    /// Adds a wait, and returns how it ended.
    pub(super) fn add(&mut self, wait: &Wait, met: Option<Met>) -> io::Result<Outcome> {
        if let Some(met) = met {
            self.exact &= met.exact;
            self.migrated.extend(wait.migrants());
        }
        if self.end.is_left || (met.is_none() && !self.end.is_met()) {
            self.survivors.extend(wait.survivors()?);
        }
        Ok(match met {
            Some(met) if met.already => Outcome::Already,
            Some(_) => Outcome::Done,
            // Other targets were enough.
            None if self.end.is_met() => Outcome::Timeout,
            None => self.end.outcome,
        })
    }
}
