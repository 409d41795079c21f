//! The state of the daemon: everything that the stream and scans of `/proc` report.
//!
//! The methods are synchronous, and are called with the lock of the
//! [`engine`](crate::state::engine) held. The engine decides when to drain and when to scan.

use std::{
    convert::Infallible,
    io,
    num::NonZeroU64,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use probe_user::{
    model::{LossReason, Record, Timed},
    unstable::{
        bpf::ring::Stream,
        cgroup::mounts::Mounts,
        clock::{WallClock, boottime_ns, initial_tick},
        container::Resolver,
        proc::{
            scan::{CgroupPath, Found},
            send::exists,
        },
        trace::{lookup::CgroupLookup, tracker::Tracker},
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

/// Times of the scans after a loss. The scan is repeated, because it adds an exiting
/// process if the record of its exit was lost.
const RESCANS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(10),
];

/// Pause after a scan, as a multiple of its duration: constant loss must not lead to
/// constant scanning.
const PAUSE_FACTOR: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(200);

/// The state, and the stream that feeds it.
pub(crate) struct State {
    stream: Stream,
    pub(crate) tables: Tables,
    /// Mounts that the peer of the current request sees.
    pub(crate) visibility: Visibility,
    pub(crate) clock: WallClock,
    pub(crate) is_ready: bool,
    /// Times of the next scans of `/proc`.
    rescans: Vec<Instant>,
    scan_began: Instant,
    /// No scan begins before this time.
    pause_ends: Instant,
}

/// The part of the state that events change.
pub(crate) struct Tables {
    pub(crate) tracker: Tracker,
    pub(crate) lookup: CgroupLookup,
    pub(crate) owners: CgroupOwners,
    pub(crate) processes: ProcessTable,
    pub(crate) history: History,
    pub(crate) topics: Topics,
    pub(crate) loss: Loss,
    /// The v1 hierarchy that records name in addition to the v2 cgroup.
    pub(crate) v1: Option<u32>,
    metrics: Arc<Metrics>,
    /// Whether an event has reported a loss since the last scan was scheduled.
    has_lost: bool,
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
        let mut lookup = CgroupLookup::new(mounts, resolver);
        let mut tracker = Tracker::new();
        tracker.name_v1(stream.v1_hierarchy());
        lookup.add_all_cgroups(&mut tracker);
        let tables = Tables {
            tracker,
            lookup,
            owners: CgroupOwners::default(),
            processes: ProcessTable::new(rustix::param::clock_ticks_per_second()),
            history: History::new(history),
            topics: Topics::default(),
            loss: Loss::default(),
            v1: stream.v1_hierarchy(),
            metrics,
            has_lost: false,
        };
        let mut state = Self {
            stream,
            tables,
            visibility: Visibility::default(),
            clock: WallClock::now(),
            is_ready: false,
            rescans: Vec::new(),
            scan_began: Instant::now(),
            pause_ends: Instant::now(),
        };
        // The daemon still has the privileges to read the owners of user namespaces.
        state.tables.processes.begin_scan(boottime_ns());
        let complete = scan::scan(true, |found| {
            state.take_found(found);
            true
        });
        state.end_scan(complete);
        state
    }

    /// A descriptor that becomes readable when a record requests a wake-up.
    pub(crate) fn readiness(&self) -> io::Result<OwnedFd> {
        self.stream.readiness()
    }

    /// Applies records of the ring, as many as the stream yields at a time; returns their
    /// number.
    pub(crate) fn drain(&mut self) -> usize {
        self.apply_stream(None)
    }

    /// Applies all records up to a moment.
    pub(crate) fn drain_until(&mut self, boottime_ns: u64) {
        self.apply_stream(Some(boottime_ns));
    }

    fn apply_stream(&mut self, until_boottime_ns: Option<u64>) -> usize {
        self.clock.sync();
        let sink = self.tables.sink();
        let Ok(drained) = match until_boottime_ns {
            Some(until) => self.stream.drain_until(until, sink),
            None => self.stream.drain(sink),
        };
        self.scan_after_loss();
        drained
    }

    /// Requests a wake-up by the next record, then drains once more, because a record may
    /// have arrived before the request. Returns the number of drained records, or `None` if
    /// the request failed.
    pub(crate) fn park(&mut self) -> Option<usize> {
        if let Err(error) = self.stream.park() {
            tracing::warn!(%error, "cannot request a wake-up by the ring buffer");
            return None;
        }
        Some(self.drain())
    }

    /// Applies the losses that only counters report. The engine ends if the counters are gone.
    pub(crate) fn read_counters(&mut self, hub: &Hub) {
        if let Some(losses) = hub.stream_losses() {
            let Ok(()) = self.stream.report_losses(losses, self.tables.sink());
            self.scan_after_loss();
        }
    }

    fn scan_after_loss(&mut self) {
        if std::mem::take(&mut self.tables.has_lost) {
            let now = Instant::now();
            self.rescans = RESCANS.iter().map(|&after| now + after).collect();
        }
    }

    /// Begins a scan if one is due. The scan has a thread of its own, because a machine may
    /// have a hundred thousand processes, and requests must not wait for the scan.
    pub(crate) fn begin_scan_if_due(&mut self) -> Option<Scan> {
        let due = *self.rescans.first()?;
        let now = Instant::now();
        if due > now || self.pause_ends > now {
            return None;
        }
        self.rescans.remove(0);
        self.scan_began = now;
        self.tables.processes.begin_scan(boottime_ns());
        Some(scan::begin())
    }

    /// Applies a piece of a scan.
    pub(crate) fn take_found(&mut self, found: Vec<Found>) {
        for mut found in found {
            let tracker = &self.tables.tracker;
            let id_of = |place: &CgroupPath| tracker.id_of(place.hierarchy, &place.path);
            let v1 = found
                .places()
                .find(|it| Some(it.hierarchy) == self.tables.v1);
            let v1 = v1.and_then(id_of).and_then(|it| NonZeroU64::new(it.id));
            found.process.cgroup = found.place.as_ref().and_then(id_of);
            found.process.v1_cgroup_id = v1;
            // Records have the time of the initial time namespace.
            found.process.start_ticks = initial_tick(found.process.start_ticks);
            self.tables.processes.scanned(&found.process);
        }
    }

    /// Ends a scan, which says whether `/proc` showed every process. A scan that was not finished
    /// is discarded and repeated.
    pub(crate) fn end_scan(&mut self, sees_all: Option<bool>) {
        let now = Instant::now();
        let took = now.duration_since(self.scan_began);
        self.pause_ends = now + (took * PAUSE_FACTOR).max(MIN_PAUSE);
        match sees_all {
            Some(sees_all) => self.finish_scan(sees_all),
            None => self.rescans.insert(0, now),
        }
    }

    fn finish_scan(&mut self, sees_all: bool) {
        let is_gone = |pid| sees_all || !exists(pid);
        let differences = self.tables.processes.finish_scan(is_gone);
        let after_loss = std::mem::replace(&mut self.is_ready, true);
        self.tables.metrics.scanned(after_loss);
        if after_loss {
            self.tables.loss.resyncs += 1;
            tracing::info!(?differences, "scanned /proc after a loss");
        }
    }
}

impl Tables {
    /// Whether records name the cgroup of every process in this hierarchy, so that the exits
    /// in its cgroups are known.
    pub(crate) fn records_name(&self, hierarchy: u32) -> bool {
        hierarchy == 0 || Some(hierarchy) == self.v1
    }

    /// The sink of a stream: applies events, and never fails.
    fn sink(&mut self) -> impl FnMut(Timed) -> Result<(), Infallible> {
        |timed| {
            self.apply(timed);
            Ok(())
        }
    }

    fn apply(&mut self, timed: Timed) {
        let boottime_ns = timed.boottime_ns;
        self.processes.apply(&timed);
        let record = self.lookup.record(&mut self.tracker, timed);
        if let Some(renamed) = self.tracker.take_renamed() {
            self.topics.rename(&renamed);
        }
        match record {
            Some(Record::Exit(exit)) => {
                self.metrics.exit(&exit);
                self.owners.learn(&self.lookup.mounts, exit.cgroups());
                self.history.push(Arc::clone(&exit));
                self.metrics.reader_lost(self.topics.publish(&exit));
            }
            Some(Record::Lost { count, reason }) => {
                self.has_lost = true;
                let count = count.unwrap_or_default();
                match reason {
                    LossReason::RingFull => self.loss.ring_full += count,
                    _ => self.loss.skipped += count,
                }
                self.metrics.lost(reason, count);
                self.history.push_loss(boottime_ns, count, reason);
                self.metrics.reader_lost(self.topics.lost(count, reason));
            }
            Some(Record::Start(_)) | None => {}
        }
    }
}
