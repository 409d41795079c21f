//! Reads the clocks: `CLOCK_BOOTTIME` of the kernel's records, the wall clock for people, and
//! timers of tokio.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Converts `CLOCK_BOOTTIME` to wall-clock time.
///
/// [`WallClock::sync`] updates the offset, because the clock may be set at any time. A record
/// gets the wall-clock time by the offset at the moment when it is read.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    offset_ns: i128,
}

impl WallClock {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        let mut clock = Self { offset_ns: 0 };
        clock.sync();
        clock
    }

    /// Reads both clocks again.
    pub fn sync(&mut self) {
        self.offset_ns = nanoseconds(clock_gettime(ClockId::Realtime))
            - nanoseconds(clock_gettime(ClockId::Boottime));
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_ns(&self, boottime_ns: u64) -> i128 {
        boottime_ns as i128 + self.offset_ns
    }
}

/// `CLOCK_BOOTTIME` in nanoseconds.
#[must_use]
pub fn boottime_ns() -> u64 {
    u64::try_from(nanoseconds(clock_gettime(ClockId::Boottime))).unwrap_or(0)
}

/// Length of a clock tick, the unit of start times in `/proc`, in nanoseconds.
#[must_use]
pub fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second()
}

/// A timer that ticks at once and then at this interval; a tick that is missed
/// delays the next ones.
#[must_use]
pub fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
