//! Reads the stream ring: takes records out, and passes on decoded events and losses.
//!
//! A reader drains until the ring is empty. Its callers, in `trace` and in the daemon,
//! decide when.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::atomic::{Ordering, fence},
};

use aya::maps::{Array, MapData, MapError, RingBuf};
use tracing::warn;

use super::counters::StreamLosses;
use super::{decode, oom_victims::OomVictims};
use crate::{
    clock::boottime_ns,
    model::{Event, LossReason, Timed},
};

/// The reader of the stream ring.
pub struct Stream {
    ring: RingBuf<MapData>,
    parked: Array<MapData, u32>,
    oom_victims: OomVictims,
    /// The v1 hierarchy that records name in addition to the usual cgroup.
    v1: Option<u32>,
    dropped: LossMeter,
    /// Skipped runs that were reported.
    skipped: u64,
    undecodable: u64,
}

impl Stream {
    /// Limit of the records that one [`Stream::drain`] takes: some ten milliseconds of
    /// work.
    const MAX_RECORDS: usize = 16 * 1024;

    pub(super) fn new(
        ring: RingBuf<MapData>,
        parked: Array<MapData, u32>,
        oom_victims: OomVictims,
        v1: Option<u32>,
    ) -> Self {
        Self {
            ring,
            parked,
            oom_victims,
            v1,
            dropped: LossMeter::default(),
            skipped: 0,
            undecodable: 0,
        }
    }

    /// The v1 hierarchy that records name in addition to the v2 cgroup, if there is one: in
    /// other v1 hierarchies the cgroup of a process is not known.
    #[must_use]
    pub const fn v1_hierarchy(&self) -> Option<u32> {
        self.v1
    }

    /// Passes records to `sink`, with losses where they happened, and returns the number
    /// of records. Ends when the ring is empty or `sink` fails, and after very many
    /// records: processes that fill the ring faster than it is drained must not keep the
    /// reader from its other work.
    pub fn drain<E>(&mut self, sink: impl FnMut(Timed) -> Result<(), E>) -> Result<usize, E> {
        self.take(Self::MAX_RECORDS, u64::MAX, sink)
    }

    /// Passes to `sink` every record up to a moment, in `CLOCK_BOOTTIME` nanoseconds,
    /// however many there are, and at most one later record: processes may go on filling
    /// the ring.
    pub fn drain_until<E>(
        &mut self,
        boottime_ns: u64,
        sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.take(usize::MAX, boottime_ns, sink)
    }

    fn take<E>(
        &mut self,
        most: usize,
        by_boottime_ns: u64,
        mut sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut count = 0;
        while count < most
            && let Some(record) = self.ring.next()
        {
            count += 1;
            // This record is out of the ring and must be passed on; the next one stays.
            let is_last = decode::header(&record).is_ok_and(|it| it.boottime_ns > by_boottime_ns);
            if let Ok(header) = decode::header(&record)
                && let Some(count) = self.dropped.advance(header.cpu, header.dropped)
            {
                sink(lost(header.boottime_ns, count, LossReason::RingFull))?;
            }
            match decode::decode(&record) {
                Ok(mut timed) => {
                    if let Event::Exit(exit) = &mut timed.event {
                        self.oom_victims.complete(exit);
                    }
                    sink(timed)?;
                }
                Err(error) => {
                    self.undecodable += 1;
                    if self.undecodable == 1 {
                        warn!(%error, "a record of the BPF programs cannot be decoded");
                    }
                }
            }
            if is_last {
                break;
            }
        }
        Ok(count)
    }

    /// Passes to `sink` the losses that no record has reported. `now` is what the kernel
    /// has counted since the load.
    pub fn report_losses<E>(
        &mut self,
        now: StreamLosses,
        mut sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<(), E> {
        let dropped = self.dropped.report_rest(now.dropped).unwrap_or(0);
        let skipped = now.skipped.saturating_sub(self.skipped);
        self.skipped = now.skipped;
        let losses = [
            (dropped, LossReason::RingFull),
            (skipped, LossReason::Skipped),
        ];
        for (count, reason) in losses.into_iter().filter(|(count, _)| *count > 0) {
            sink(lost(boottime_ns(), count, reason))?;
        }
        Ok(())
    }

    /// Excludes from the reports the runs that the kernel has skipped until now: they
    /// belong to the time before the reader was ready.
    pub(crate) fn ignore_skipped(&mut self, skipped: u64) {
        self.skipped = skipped;
    }

    /// A descriptor that is readable when a record asked for a wake-up.
    pub fn readiness(&self) -> io::Result<OwnedFd> {
        self.ring.as_fd().try_clone_to_owned()
    }

    /// Asks for a wake-up by the next record. The caller must drain once more before it
    /// sleeps, because a record may have come before the flag was set.
    pub fn park(&mut self) -> Result<(), MapError> {
        self.parked.set(0, 1, 0)?;
        // Every machine must set the flag before the reader looks at the ring again. The
        // fence pairs with the commit that `wake_parked` of `emit.rs` relies on.
        fence(Ordering::SeqCst);
        Ok(())
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

const fn lost(boottime_ns: u64, count: u64, reason: LossReason) -> Timed {
    Timed {
        boottime_ns,
        event: Event::Lost { count, reason },
    }
}

/// The sum of the drop counters of each CPU, of which every loss is reported once.
#[derive(Debug, Default)]
struct LossMeter {
    /// Last drop counter in a record header, by CPU.
    per_cpu: Vec<u64>,
    /// Losses that were reported before a record header had them.
    reported_ahead: u64,
}

impl LossMeter {
    /// The loss in the header of a record that was not reported before.
    fn advance(&mut self, cpu: u32, dropped: u64) -> Option<u64> {
        let cpu = cpu as usize;
        if cpu >= self.per_cpu.len() {
            self.per_cpu.resize(cpu + 1, 0);
        }
        let lost = dropped.checked_sub(self.per_cpu[cpu])?;
        self.per_cpu[cpu] += lost;
        let ahead = self.reported_ahead.min(lost);
        self.reported_ahead -= ahead;
        Some(lost - ahead).filter(|&lost| lost > 0)
    }

    /// The part of `total` that was not reported before.
    fn report_rest(&mut self, total: u64) -> Option<u64> {
        let reported = self.per_cpu.iter().sum::<u64>() + self.reported_ahead;
        let lost = total.checked_sub(reported).filter(|&lost| lost > 0)?;
        self.reported_ahead += lost;
        Some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_reported_once_by_the_cpu_that_had_it() {
        let mut meter = LossMeter::default();
        assert_eq!(meter.advance(0, 0), None);
        assert_eq!(meter.advance(1, 3), Some(3));
        assert_eq!(meter.advance(1, 3), None);
        assert_eq!(meter.advance(0, 2), Some(2));
        assert_eq!(meter.report_rest(5), None);
    }

    #[test]
    fn a_loss_without_a_record_is_reported_once() {
        let mut meter = LossMeter::default();
        assert_eq!(meter.report_rest(4), Some(4));
        assert_eq!(meter.report_rest(4), None);
        assert_eq!(meter.advance(0, 4), None);
        assert_eq!(meter.advance(0, 6), Some(2));
    }
}
