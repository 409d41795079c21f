//! What the daemon knows: everything that the stream and a scan of `/proc` say.
//!
//! Synchronous. Whoever holds it is alone with it; the [`engine`](crate::state::engine)
//! decides when it drains and scans.

use std::{
    convert::Infallible,
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use probe_user::{
    model::{LossReason, Record, Timed},
    unstable::{
        bpf::ring::Stream,
        cgroup::mounts::Mount,
        clock::{WallClock, boottime_ns},
        container::Resolver,
        proc::scan::{Found, Place},
        trace::{places::Places, tracker::Tracker},
        wait::Hub,
    },
};

use super::{
    history::History,
    scan::{self, Scan},
    table::ProcessTable,
    topics::Topics,
};
use crate::{
    access::{ownership::CgroupOwners, visibility::Views},
    api::info::Loss,
    state::metrics::Metrics,
};

/// A scan may take in a process that was exiting, if the record of its exit was
/// lost before: so after a loss it is made again, later and later.
const RESCANS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(10),
];

/// After a scan, so many times what it took: a storm that always loses must not
/// turn into a scan without end.
const REST: u32 = 4;
const LEAST_REST: Duration = Duration::from_millis(200);

/// Everything that is known.
pub(crate) struct State {
    stream: Stream,
    pub(crate) tracker: Tracker,
    pub(crate) places: Places,
    pub(crate) owners: CgroupOwners,
    /// Of the request that is being answered.
    pub(crate) views: Views,
    pub(crate) table: ProcessTable,
    pub(crate) history: History,
    pub(crate) topics: Topics,
    pub(crate) clock: WallClock,
    pub(crate) loss: Loss,
    pub(crate) is_ready: bool,
    /// When `/proc` is to be scanned again, and how often it was.
    rescans: Vec<Instant>,
    scan_began: Instant,
    rests_until: Instant,
    skipped: u64,
    pub(crate) metrics: Arc<Metrics>,
}

impl State {
    /// With everything that `/proc` shows.
    pub(crate) fn new(
        stream: Stream,
        mounts: Vec<Mount>,
        resolver: Resolver,
        history: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut places = Places::new(mounts, resolver);
        let mut tracker = Tracker::new();
        places.feed_all(&mut tracker);
        let mut state = Self {
            stream,
            tracker,
            places,
            owners: CgroupOwners::default(),
            views: Views::default(),
            table: ProcessTable::new(rustix::param::clock_ticks_per_second()),
            history: History::new(history),
            topics: Topics::default(),
            clock: WallClock::now(),
            loss: Loss::default(),
            is_ready: false,
            rescans: Vec::new(),
            scan_began: Instant::now(),
            rests_until: Instant::now(),
            skipped: 0,
            metrics,
        };
        // While there are the privileges to ask whose user namespaces they are.
        state.table.begin_scan(boottime_ns());
        let whole = scan::scan(true, |found| {
            state.take_found(found);
            true
        });
        state.end_scan(whole.is_some());
        state
    }

    /// A descriptor that is readable when a record asked for it.
    pub(crate) fn readiness(&self) -> io::Result<OwnedFd> {
        self.stream.readiness()
    }

    /// Takes in what is in the ring; how much that was. As much as can be done
    /// before others must have their turn.
    pub(crate) fn drain(&mut self) -> usize {
        self.take(None)
    }

    /// The same for all that happened by a moment.
    pub(crate) fn drain_by(&mut self, boottime_ns: u64) {
        self.take(Some(boottime_ns));
    }

    fn take(&mut self, by_boottime_ns: Option<u64>) -> usize {
        self.clock.sync();
        let Self {
            stream,
            tracker,
            places,
            owners,
            table,
            history,
            topics,
            loss,
            metrics,
            ..
        } = self;
        let mut is_lossy = false;
        let sink = |timed: Timed| -> Result<(), Infallible> {
            table.apply(&timed);
            match places.record(tracker, timed) {
                Some(Record::Exit(exit)) => {
                    metrics.exit(&exit);
                    owners.learn(places.mounts(), exit.cgroup.as_ref());
                    history.push(Arc::clone(&exit));
                    topics.publish(&exit);
                }
                Some(Record::Lost { count, reason }) => {
                    is_lossy = true;
                    loss.ring_full += count;
                    metrics.lost(reason, count);
                    topics.lost(count, reason);
                }
                Some(Record::Start(_)) | None => {}
            }
            Ok(())
        };
        let drained = match by_boottime_ns {
            Some(by) => stream.drain_by(by, sink),
            None => stream.drain(sink),
        };
        if is_lossy {
            self.scan_soon();
        }
        drained.unwrap_or_else(|never| match never {})
    }

    /// Whether nobody need look before the next record wakes us.
    pub(crate) fn park(&mut self) -> bool {
        if let Err(error) = self.stream.park() {
            tracing::warn!(%error, "the ring cannot be asked for a wake-up");
            return false;
        }
        // A record may have come between the last look and the flag.
        self.drain() == 0
    }

    /// Losses that the records do not tell of.
    pub(crate) fn read_counters(&mut self, hub: &Hub) {
        let skipped = hub.skipped();
        let newly_skipped = skipped.saturating_sub(self.skipped);
        self.skipped = skipped;
        let dropped = self.stream.unreported_loss(hub.stream_dropped());
        let losses = [
            (dropped.unwrap_or(0), LossReason::RingFull),
            (newly_skipped, LossReason::Skipped),
        ];
        for (count, reason) in losses.into_iter().filter(|(count, _)| *count > 0) {
            match reason {
                LossReason::RingFull => self.loss.ring_full += count,
                LossReason::Skipped | LossReason::SlowReader => self.loss.skipped += count,
            }
            self.metrics.lost(reason, count);
            self.topics.lost(count, reason);
            self.scan_soon();
        }
    }

    fn scan_soon(&mut self) {
        let now = Instant::now();
        self.rescans = RESCANS.iter().map(|&after| now + after).collect();
    }

    /// Scans on a thread of its own: a machine may have a hundred thousand
    /// processes, and whoever waits must not wait for that.
    pub(crate) fn begin_scan_if_due(&mut self) -> Option<Scan> {
        let due = *self.rescans.first()?;
        let now = Instant::now();
        if due > now || self.rests_until > now {
            return None;
        }
        self.rescans.remove(0);
        self.scan_began = now;
        self.table.begin_scan(boottime_ns());
        Some(scan::begin())
    }

    /// Some of those that a scan found.
    pub(crate) fn take_found(&mut self, found: Vec<Found>) {
        for Found { mut process, place } in found {
            let id_of = |place: Place| self.tracker.id_of(place.hierarchy, &place.path);
            process.cgroup = place.and_then(id_of);
            self.table.scanned(&process);
        }
    }

    /// One that failed is given up and made again.
    pub(crate) fn end_scan(&mut self, is_whole: bool) {
        let now = Instant::now();
        let took = now.duration_since(self.scan_began);
        self.rests_until = now + (took * REST).max(LEAST_REST);
        if is_whole {
            self.finish_scan();
        } else {
            self.rescans.insert(0, now);
        }
    }

    fn finish_scan(&mut self) {
        let differences = self.table.finish_scan();
        if std::mem::replace(&mut self.is_ready, true) {
            self.loss.resyncs += 1;
            self.metrics.resync();
            tracing::info!(?differences, "scanned /proc after a loss");
        } else {
            self.metrics.first_scan();
        }
    }
}
