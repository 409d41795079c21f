//! How a wait or a kill ended, before it becomes a verdict and an exit code.

use probe_daemon::api::Outcome;

/// How it ended: the wait, and what had to be done after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// It was waited for with success, but a cgroup could not be removed.
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

    /// Whether nothing is left to do.
    pub(super) const fn is_over(self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Already) && !self.is_left
    }
}
