//! Records as they come, for who shows them otherwise than line by line.
//!
//! Of the whole machine, without starts. The reader drains and parks as that of
//! [`probe_cli::trace`] does.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{places::Places, tracker::Tracker};
use crate::{
    bpf::{
        load::{Attached, LoadError, Rings},
        ring::Stream,
    },
    cgroup::mounts::Mount,
    container::Resolver,
    model::{Cgroup, Container, LossReason, Record, Timed},
    readiness::register,
};

/// Between two drains while records come: nobody sees the difference.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
/// How long the reader goes on looking after the last record.
const IDLE: Duration = Duration::from_secs(1);
/// How often counters that no record tells of are read.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// Why the stream of records ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The ring could not be waited for.
    #[error("cannot wait for the ring buffer")]
    Wait(#[source] io::Error),
    /// A map did not answer.
    #[error("cannot read the kernel half's maps")]
    Map(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<LoadError> for StreamError {
    fn from(error: LoadError) -> Self {
        Self::Map(Box::new(error))
    }
}

/// See the module. Dropping it detaches the programs.
pub struct Records {
    ring: AsyncFd<Stream>,
    joined: Joined,
    attached: Attached,
    drain: Interval,
    last_record: Instant,
    is_parked: bool,
    skipped: u64,
    counters_read: Instant,
}

/// What makes a record of an event.
struct Joined {
    tracker: Tracker,
    places: Places,
}

impl Records {
    /// From attached programs on.
    pub fn new(
        (attached, rings): (Attached, Rings),
        mounts: Vec<Mount>,
        resolver: Resolver,
    ) -> Result<Self, StreamError> {
        let mut joined = Joined {
            tracker: Tracker::new(),
            places: Places::new(mounts, resolver),
        };
        joined.places.feed_all(&mut joined.tracker);
        let mut drain = interval(DRAIN_EVERY);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            ring: register(rings.stream, Interest::READABLE).map_err(StreamError::Wait)?,
            joined,
            skipped: attached.recursion_misses(),
            attached,
            drain,
            last_record: Instant::now(),
            is_parked: false,
            counters_read: Instant::now(),
        })
    }

    /// The next ones. May be dropped and asked for again: none is lost.
    pub async fn next(&mut self) -> Result<Vec<Record>, StreamError> {
        loop {
            tokio::select! {
                ready = self.ring.readable() => ready.map_err(StreamError::Wait)?.clear_ready(),
                _ = self.drain.tick(), if !self.is_parked => {}
            }
            let records = self.take()?;
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// The container of a cgroup, by its path below the root of the hierarchy.
    pub fn container_of(&mut self, cgroup: &Cgroup) -> Option<Arc<Container>> {
        self.joined.places.container_of(Some(cgroup))
    }

    fn take(&mut self) -> Result<Vec<Record>, StreamError> {
        let mut records = Vec::new();
        let mut count = self.drain(&mut records);
        if count == 0 && !self.is_parked && self.last_record.elapsed() > IDLE {
            self.ring
                .get_mut()
                .park()
                .map_err(|error| StreamError::Map(Box::new(error)))?;
            self.is_parked = true;
            // A record may have come between the last look and the flag.
            count = self.drain(&mut records);
        }
        if count > 0 {
            self.last_record = Instant::now();
            self.is_parked = false;
        }
        if self.counters_read.elapsed() > COUNTERS_EVERY {
            self.read_counters(&mut records)?;
        }
        Ok(records)
    }

    fn drain(&mut self, records: &mut Vec<Record>) -> usize {
        let joined = &mut self.joined;
        let drained = self.ring.get_mut().drain(|timed| {
            records.extend(joined.join(timed));
            Ok::<_, Infallible>(())
        });
        match drained {
            Ok(count) => count,
        }
    }

    /// Losses that the records do not tell of.
    fn read_counters(&mut self, records: &mut Vec<Record>) -> Result<(), StreamError> {
        self.counters_read = Instant::now();
        self.attached.flush_log();
        let skipped = self.attached.recursion_misses();
        let newly_skipped = skipped.saturating_sub(self.skipped);
        self.skipped = skipped;
        let total = self.attached.stream_dropped()?;
        let dropped = self.ring.get_mut().unreported_loss(total).unwrap_or(0);
        let losses = [
            (dropped, LossReason::RingFull),
            (newly_skipped, LossReason::Skipped),
        ];
        let told = losses.into_iter().filter(|(count, _)| *count > 0);
        records.extend(told.map(|(count, reason)| Record::Lost { count, reason }));
        Ok(())
    }
}

impl Joined {
    fn join(&mut self, timed: Timed) -> Option<Record> {
        self.places.record(&mut self.tracker, timed)
    }
}
