//! Readers of the ring buffers: bytes out, decoded events and losses on.
//!
//! A reader drains until the ring is empty; who calls it, and when, is the
//! pipeline's business.

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
    dropped: LossMeter,
    /// Skipped runs that were reported.
    skipped: u64,
    undecodable: u64,
}

impl Stream {
    /// Records that [`Stream::drain`] takes in one go: some ten milliseconds' work.
    const MOST: usize = 16 * 1024;

    pub(super) fn new(
        ring: RingBuf<MapData>,
        parked: Array<MapData, u32>,
        oom_victims: OomVictims,
    ) -> Self {
        Self {
            ring,
            parked,
            oom_victims,
            dropped: LossMeter::default(),
            skipped: 0,
            undecodable: 0,
        }
    }

    /// Hands records to `sink`, with losses where they happened, until the ring
    /// is empty, `sink` says stop or very many were taken: whoever fills the ring
    /// faster than it is emptied must not keep us from all else. How many there
    /// were.
    pub fn drain<E>(&mut self, sink: impl FnMut(Timed) -> Result<(), E>) -> Result<usize, E> {
        self.take(Self::MOST, u64::MAX, sink)
    }

    /// The same for all that happened by a moment, in `CLOCK_BOOTTIME`
    /// nanoseconds, however much that is, and at most one record more: others may
    /// go on filling the ring.
    pub fn drain_by<E>(
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
            // It is taken, and must be told: the one after it is not looked at.
            let is_last = decode::header(&record).is_ok_and(|it| it.boottime_ns > by_boottime_ns);
            if let Ok(header) = decode::header(&record)
                && let Some(lost) = self.dropped.advance(header.cpu, header.dropped)
            {
                sink(Timed {
                    boottime_ns: header.boottime_ns,
                    event: Event::Lost {
                        count: lost,
                        reason: LossReason::RingFull,
                    },
                })?;
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

    /// Hands to `sink` what was lost and no record has reported: `now` is what the
    /// kernel has counted since the load.
    pub fn report_losses<E>(
        &mut self,
        now: StreamLosses,
        mut sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<(), E> {
        let dropped = self.dropped.settle(now.dropped).unwrap_or(0);
        let skipped = now.skipped.saturating_sub(self.skipped);
        self.skipped = now.skipped;
        let losses = [
            (dropped, LossReason::RingFull),
            (skipped, LossReason::Skipped),
        ];
        for (count, reason) in losses.into_iter().filter(|(count, _)| *count > 0) {
            sink(Timed {
                boottime_ns: boottime_ns(),
                event: Event::Lost { count, reason },
            })?;
        }
        Ok(())
    }

    /// Runs that the kernel has skipped until now are not reported: they belong to
    /// the time before the reader was ready.
    pub(crate) fn ignore_skipped(&mut self, skipped: u64) {
        self.skipped = skipped;
    }

    /// A descriptor that is readable when a record asked for a wake-up.
    pub fn readiness(&self) -> io::Result<OwnedFd> {
        self.ring.as_fd().try_clone_to_owned()
    }

    /// Asks for a wake-up by the next record. The caller must drain once more
    /// before it sleeps: a record may have come in between.
    pub fn park(&mut self) -> Result<(), MapError> {
        self.parked.set(0, 1, 0)?;
        // The flag is set before the ring is looked at again, on every machine:
        // the pair of the exchange that `wake_parked` of `emit.rs` relies on.
        fence(Ordering::SeqCst);
        Ok(())
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

/// What the per-CPU drop counters in the record headers add up to.
#[derive(Debug, Default)]
struct LossMeter {
    per_cpu: Vec<u64>,
    settled: u64,
}

impl LossMeter {
    /// The loss that a header tells of for the first time.
    fn advance(&mut self, cpu: u32, dropped: u64) -> Option<u64> {
        let cpu = cpu as usize;
        if cpu >= self.per_cpu.len() {
            self.per_cpu.resize(cpu + 1, 0);
        }
        let lost = dropped.checked_sub(self.per_cpu[cpu])?;
        self.per_cpu[cpu] += lost;
        // What was settled ahead of its record must not be told twice.
        let ahead = self.settled.min(lost);
        self.settled -= ahead;
        Some(lost - ahead).filter(|&lost| lost > 0)
    }

    /// The part of `total` that no header has told of yet.
    fn settle(&mut self, total: u64) -> Option<u64> {
        let told = self.per_cpu.iter().sum::<u64>() + self.settled;
        let lost = total.checked_sub(told).filter(|&lost| lost > 0)?;
        self.settled += lost;
        Some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_and_by_the_cpu_that_had_it() {
        let mut meter = LossMeter::default();
        assert_eq!(meter.advance(0, 0), None);
        assert_eq!(meter.advance(1, 3), Some(3));
        assert_eq!(meter.advance(1, 3), None);
        assert_eq!(meter.advance(0, 2), Some(2));
        assert_eq!(meter.settle(5), None);
    }

    #[test]
    fn a_loss_without_a_record_is_told_at_the_end_and_not_again_later() {
        let mut meter = LossMeter::default();
        assert_eq!(meter.settle(4), Some(4));
        assert_eq!(meter.settle(4), None);
        assert_eq!(meter.advance(0, 4), None);
        assert_eq!(meter.advance(0, 6), Some(2));
    }
}
