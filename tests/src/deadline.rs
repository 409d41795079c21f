//! Patience with an end: generous, because it only costs time when something
//! is broken.

use std::time::{Duration, Instant};

use crate::scale;

/// How long anything may take that takes milliseconds when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How many times as long in a machine that is emulated: a crowd takes most of a
/// minute to come up in User Mode Linux.
const EMULATED: u32 = 8;

/// Between two looks at something that tells nobody when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A moment after which a test has failed.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// [`DEADLINE`] from now; more where a machine is emulated.
    #[must_use]
    pub fn start() -> Self {
        let times = if scale::is_emulated() { EMULATED } else { 1 };
        Self::after(DEADLINE * times)
    }

    /// `patience` from now.
    #[must_use]
    pub fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// Zero once it has passed.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Returns when `is_true`, or panics. For states that have no event; where
    /// there is one, wait for it.
    pub fn until(&self, what: &str, mut is_true: impl FnMut() -> bool) {
        while !is_true() {
            assert!(!self.left().is_zero(), "not within the deadline: {what}");
            self.pause();
        }
    }

    /// Until the next look.
    pub(crate) fn pause(&self) {
        std::thread::park_timeout(LOOK_EVERY.min(self.left()));
    }
}
