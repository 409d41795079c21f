//! The outcome of a wait or a kill, before it becomes a verdict and an exit code.

use std::io;

use probe_daemon::api::Outcome;
use probe_user::unstable::{
    proc::survivors::Migrant,
    wait::{Met, Wait},
};

/// The outcome of the wait, and of the removal that may follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// The wait succeeded, but a cgroup could not be removed.
    pub(super) removal_failed: bool,
}

impl End {
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            removal_failed: false,
        }
    }

    pub(super) const fn not_removed(outcome: Outcome) -> Self {
        Self {
            outcome,
            removal_failed: true,
        }
    }

    /// Whether the wait succeeded.
    pub(super) const fn is_met(self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Already)
    }

    /// Whether the wait succeeded and every cgroup was removed.
    pub(super) const fn is_complete(self) -> bool {
        self.is_met() && !self.removal_failed
    }
}

/// The combined results of the waits of all targets.
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

    /// Adds the result of a wait, and returns its outcome.
    pub(super) fn add(&mut self, wait: &Wait, met: Option<Met>) -> io::Result<Outcome> {
        if let Some(met) = met {
            self.exact &= met.exact;
            self.migrated.extend(wait.migrants());
        }
        if self.end.removal_failed || (met.is_none() && !self.end.is_met()) {
            self.survivors.extend(wait.survivors()?);
        }
        Ok(match met {
            Some(met) if met.already => Outcome::Already,
            Some(_) => Outcome::Done,
            // Enough other targets are done.
            None if self.end.is_met() => Outcome::Timeout,
            None => self.end.outcome,
        })
    }
}
