//! Deadlines. They are generous, because a long one costs time only if a test fails.

use std::time::{Duration, Instant};

use crate::scale;

/// Limit for operations that normally take milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Factor for emulated machines: a crowd of processes takes most of a minute to start in User
/// Mode Linux.
const EMULATED: u32 = 8;

/// Interval for polling a state that has no notification.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The moment at which a test fails.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// [`DEADLINE`] from now, and later on an emulated machine.
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

    /// The time left; zero after the deadline.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Polls until `is_true`, or panics at the deadline. Only for states without an event to
    /// wait for.
    pub fn until(&self, what: &str, mut is_true: impl FnMut() -> bool) {
        while !is_true() {
            assert!(!self.left().is_zero(), "not within the deadline: {what}");
            self.pause();
        }
    }

    /// Sleeps until the next poll.
    pub(crate) fn pause(&self) {
        std::thread::park_timeout(POLL_INTERVAL.min(self.left()));
    }
}
