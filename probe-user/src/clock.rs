//! Reads the clocks: `CLOCK_BOOTTIME` of the kernel's records, the wall clock for people, and
//! timers of tokio.
//!
//! In a time namespace `clock_gettime(CLOCK_BOOTTIME)` and the start times in `/proc` are
//! shifted by the offset of the namespace, but the records of BPF are not
//! (`time_namespaces(7)`, Linux 5.6). All times of this crate in `CLOCK_BOOTTIME` nanoseconds
//! are those of the initial time namespace, and this module alone converts: [`boottime_ns`]
//! for the clock, [`start_of_tick`] and [`tick_of`] for start times in `/proc`.

use std::{fs, os::unix::fs::MetadataExt, sync::OnceLock, time::Duration};

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
        self.offset_ns = nanoseconds(clock_gettime(ClockId::Realtime)) - now_ns();
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
    u64::try_from(now_ns()).unwrap_or(0)
}

fn now_ns() -> i128 {
    nanoseconds(clock_gettime(ClockId::Boottime)) - namespace_offset_ns()
}

/// The first nanosecond, in `CLOCK_BOOTTIME`, of a clock tick that `/proc` shows as a start
/// time.
#[must_use]
pub fn start_of_tick(ticks: u64) -> u64 {
    tick_begin(ticks, namespace_offset_ns())
}

/// The clock tick that `/proc` shows for a start in `CLOCK_BOOTTIME` nanoseconds.
#[must_use]
pub fn tick_of(start_boottime_ns: u64) -> u64 {
    tick_shown(start_boottime_ns, namespace_offset_ns())
}

/// Converts a start time in `/proc` to the tick that a reader in the initial time namespace
/// sees.
#[must_use]
pub fn initial_tick(ticks: u64) -> u64 {
    start_of_tick(ticks) / tick_ns()
}

fn tick_begin(ticks: u64, offset_ns: i128) -> u64 {
    let shifted = i128::from(ticks) * i128::from(tick_ns()) - offset_ns;
    shifted.clamp(0, u64::MAX.into()).try_into().unwrap_or(0)
}

fn tick_shown(start_boottime_ns: u64, offset_ns: i128) -> u64 {
    // The kernel adds the offset as an unsigned number, but no namespace can begin before
    // the boot of the machine.
    let shifted = i128::from(start_boottime_ns) + offset_ns;
    let ticks = shifted.max(0) / i128::from(tick_ns());
    ticks.try_into().unwrap_or(u64::MAX)
}

/// Length of a clock tick, the unit of start times in `/proc`, in nanoseconds.
#[must_use]
pub fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second()
}

/// Offset of `CLOCK_BOOTTIME` in the time namespace of this process. It never changes: the
/// kernel refuses to set it once a process is in the namespace, and this process does not
/// enter another one.
fn namespace_offset_ns() -> i128 {
    static OFFSET: OnceLock<i128> = OnceLock::new();
    *OFFSET.get_or_init(|| read_offset_ns().unwrap_or(0))
}

/// `None` in the initial time namespace, and if the offset is unknown.
fn read_offset_ns() -> Option<i128> {
    /// `PROC_TIME_INIT_INO`: the inode number of the initial time namespace.
    const INITIAL: u64 = 0xefff_fffa;
    let inode = |name| Some(fs::metadata(format!("/proc/self/ns/{name}")).ok()?.ino());
    let own = inode("time")?;
    if own == INITIAL {
        return None;
    }
    // The file has the offsets of the namespace of future children.
    if inode("time_for_children") != Some(own) {
        tracing::warn!("the offsets of this time namespace are unknown: times may be wrong");
        return None;
    }
    parse_offset(&fs::read("/proc/self/timens_offsets").ok()?)
}

/// Parses the offset of `CLOCK_BOOTTIME`, which has the name `boottime` or, before Linux 5.7,
/// the number 7.
fn parse_offset(file: &[u8]) -> Option<i128> {
    let file = std::str::from_utf8(file).ok()?;
    let mut lines = file.lines().map(|line| line.split_ascii_whitespace());
    let mut offset = lines.find_map(|mut words| {
        let is_boottime = matches!(words.next()?, "boottime" | "7");
        is_boottime.then_some(words)
    })?;
    let mut number = || offset.next()?.parse::<i128>().ok();
    Some(number()? * 1_000_000_000 + number()?)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_offset_is_that_of_boottime() {
        let file = b"monotonic           7          0\nboottime      1000000         50\n";
        assert_eq!(parse_offset(file), Some(1_000_000_000_000_050));
        assert_eq!(
            parse_offset(b"1 5 0\n7 -2 500000000\n"),
            Some(-1_500_000_000)
        );
        assert_eq!(parse_offset(b"monotonic 7 0\n"), None);
    }

    proptest! {
        #[test]
        fn the_tick_of_a_start_contains_it_in_every_time_namespace(
            start_ns in 1_u64 << 50..1 << 60,
            offset_ns in -(1_i128 << 50)..1 << 60,
        ) {
            let begin = tick_begin(tick_shown(start_ns, offset_ns), offset_ns);
            prop_assert!((begin..begin + tick_ns()).contains(&start_ns));
        }
    }
}
