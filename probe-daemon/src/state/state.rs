//! The state of the daemon: everything that the stream and scans of `/proc` report.
//!
//! Synchronous, and used under the lock of the [`engine`](crate::state::engine), which
//! decides when to drain and to scan.

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
        cgroup::mounts::Mounts,
        clock::{WallClock, boottime_ns},
        container::Resolver,
        proc::scan::{CgroupPath, Found},
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
    access::{ownership::CgroupOwners, visibility::Visibility},
    api::info::Loss,
    state::metrics::Metrics,
};

/// Times of the scans after a loss. A scan may add a process that is exiting if the
/// record of its exit was lost before, so the scan is repeated.
const RESCANS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(10),
];

/// Rest after a scan, as a multiple of its duration: constant loss must not lead to
/// constant scanning.
const REST: u32 = 4;
const LEAST_REST: Duration = Duration::from_millis(200);

/// Trackers, tables, readers, and the stream that feeds them.
pub(crate) struct State {
    stream: Stream,
    pub(crate) tracker: Tracker,
    pub(crate) places: Places,
    pub(crate) owners: CgroupOwners,
    /// Mounts that the peer of the current request sees.
    pub(crate) visibility: Visibility,
    pub(crate) table: ProcessTable,
    pub(crate) history: History,
    pub(crate) topics: Topics,
    pub(crate) clock: WallClock,
    pub(crate) loss: Loss,
    pub(crate) is_ready: bool,
    /// When `/proc` is to be scanned again.
    rescans: Vec<Instant>,
    scan_began: Instant,
    rests_until: Instant,
    pub(crate) metrics: Arc<Metrics>,
}

impl State {
    /// The state after a first scan of `/proc`.
    pub(crate) fn new(
        stream: Stream,
        mounts: Mounts,
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
            visibility: Visibility::default(),
            table: ProcessTable::new(rustix::param::clock_ticks_per_second()),
            history: History::new(history),
            topics: Topics::default(),
            clock: WallClock::now(),
            loss: Loss::default(),
            is_ready: false,
            rescans: Vec::new(),
            scan_began: Instant::now(),
            rests_until: Instant::now(),
            metrics,
        };
        // The daemon still has the privileges to read the owners of user namespaces.
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
    pub(crate) fn drain_until(&mut self, boottime_ns: u64) {
        self.take(Some(boottime_ns));
    }

    fn take(&mut self, by_boottime_ns: Option<u64>) -> usize {
        self.clock.sync();
        let (stream, mut knowledge) = self.parts();
        let sink = |timed| {
            knowledge.take(timed);
            Ok::<(), Infallible>(())
        };
        let drained = match by_boottime_ns {
            Some(by) => stream.drain_until(by, sink),
            None => stream.drain(sink),
        };
        if knowledge.is_lossy {
            self.scan_soon();
        }
        drained.unwrap_or_else(|never| match never {})
    }

    fn parts(&mut self) -> (&mut Stream, Knowledge<'_>) {
        let knowledge = Knowledge {
            tracker: &mut self.tracker,
            places: &mut self.places,
            owners: &self.owners,
            table: &mut self.table,
            history: &mut self.history,
            topics: &mut self.topics,
            loss: &mut self.loss,
            metrics: &self.metrics,
            is_lossy: false,
        };
        (&mut self.stream, knowledge)
    }

    /// Asks for a wake-up by the next record, and drains once more: a record may
    /// have come before the request. How many there were; `None` if the ring cannot
    /// be asked.
    pub(crate) fn park(&mut self) -> Option<usize> {
        if let Err(error) = self.stream.park() {
            tracing::warn!(%error, "the ring cannot be asked for a wake-up");
            return None;
        }
        Some(self.drain())
    }

    /// Losses that no record reports.
    pub(crate) fn read_counters(&mut self, hub: &Hub) {
        let losses = hub.stream_losses();
        let (stream, mut knowledge) = self.parts();
        let sink = |timed| {
            knowledge.take(timed);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = stream.report_losses(losses, sink);
        if knowledge.is_lossy {
            self.scan_soon();
        }
    }

    fn scan_soon(&mut self) {
        let now = Instant::now();
        self.rescans = RESCANS.iter().map(|&after| now + after).collect();
    }

    /// Begins a scan on a new thread, if one is due: a machine may have a hundred
    /// thousand processes, and requests must not wait for their scan.
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

    /// Takes some processes of a scan.
    pub(crate) fn take_found(&mut self, found: Vec<Found>) {
        for Found { mut process, place } in found {
            let id_of = |place: CgroupPath| self.tracker.id_of(place.hierarchy, &place.path);
            process.cgroup = place.and_then(id_of);
            self.table.scanned(&process);
        }
    }

    /// Ends a scan; an incomplete one is discarded and repeated.
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

/// The parts of the state that an event changes.
struct Knowledge<'a> {
    tracker: &'a mut Tracker,
    places: &'a mut Places,
    owners: &'a CgroupOwners,
    table: &'a mut ProcessTable,
    history: &'a mut History,
    topics: &'a mut Topics,
    loss: &'a mut Loss,
    metrics: &'a Metrics,
    /// Whether an event has reported a loss.
    is_lossy: bool,
}

impl Knowledge<'_> {
    fn take(&mut self, timed: Timed) {
        self.table.apply(&timed);
        match self.places.record(self.tracker, timed) {
            Some(Record::Exit(exit)) => {
                self.metrics.exit(&exit);
                self.owners
                    .learn(self.places.mounts(), exit.cgroup.as_ref());
                self.history.push(Arc::clone(&exit));
                self.topics.publish(&exit);
            }
            Some(Record::Lost { count, reason }) => {
                self.is_lossy = true;
                match reason {
                    LossReason::RingFull => self.loss.ring_full += count,
                    LossReason::Skipped | LossReason::SlowReader => self.loss.skipped += count,
                }
                self.metrics.lost(reason, count);
                self.topics.lost(count, reason);
            }
            Some(Record::Start(_)) | None => {}
        }
    }
}
