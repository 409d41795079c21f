//! The clock of the records.

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME` in nanoseconds.
#[must_use]
pub fn boottime_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).expect("no time before boot");
    let nanoseconds = u64::try_from(now.tv_nsec).expect("within a second");
    seconds * 1_000_000_000 + nanoseconds
}
