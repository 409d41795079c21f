//! What the daemon knows, and the task that keeps it so.
//!
//! One task drains the stream: on a timer while records come, asleep until the
//! next one when none do. Whoever answers a request drains as well before it
//! looks, so that an answer is never older than its question. Requests read;
//! nothing but the stream and a scan of `/proc` changes what is known.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::{metrics::Metrics, topics::Topics};
use crate::{
    api::info::Loss,
    container::Resolver,
    event::Timed,
    pipeline::places::Places,
    record::{LossReason, Record},
    source::{
        cgroupfs::Mount,
        clock::{WallClock, boottime_ns},
        processes::{self, Found, Place},
        readiness::register,
        ring::Stream,
    },
    tracker::{Tracker, history::History, table::ProcessTable},
    wait::Hub,
};

/// Time between two drains while records come and somebody reads along, or
/// nobody does.
const DRAIN_EVERY: Duration = Duration::from_millis(10);
const DRAIN_EVERY_UNREAD: Duration = Duration::from_millis(100);
/// How long the task goes on looking after the last record.
const IDLE: Duration = Duration::from_secs(1);
/// How often counters that no record tells of are read.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// A scan may take in a process that was exiting, if the record of its exit was
/// lost before: so after a loss it is made again, later and later.
const RESCANS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(10),
];

/// See the module.
pub(super) struct Engine {
    state: Mutex<State>,
}

/// Everything that is known.
pub(super) struct State {
    stream: Stream,
    pub(super) tracker: Tracker,
    pub(super) places: Places,
    pub(super) table: ProcessTable,
    pub(super) history: History,
    pub(super) topics: Topics,
    pub(super) clock: WallClock,
    pub(super) loss: Loss,
    pub(super) is_ready: bool,
    /// When `/proc` is to be scanned again, and how often it was.
    rescans: Vec<Instant>,
    skipped: u64,
    pub(super) metrics: Arc<Metrics>,
}

impl Engine {
    /// From the moment on at which the programs were attached.
    pub(super) fn new(
        stream: Stream,
        mounts: Vec<Mount>,
        resolver: Resolver,
        history: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut places = Places::new(mounts, resolver);
        let mut tracker = Tracker::new();
        places.feed_all(&mut tracker);
        let mut state = State {
            stream,
            tracker,
            places,
            table: ProcessTable::new(rustix::param::clock_ticks_per_second()),
            history: History::new(history),
            topics: Topics::default(),
            clock: WallClock::now(),
            loss: Loss::default(),
            is_ready: false,
            rescans: Vec::new(),
            skipped: 0,
            metrics,
        };
        // While there are the privileges to ask whose user namespaces they are.
        state.table.begin_scan(boottime_ns());
        state.finish_scan(scan(true));
        Self {
            state: Mutex::new(state),
        }
    }

    /// What is known, up to now.
    pub(super) fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.drain();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps up with the kernel, for ever.
    pub(super) async fn run(self: Arc<Self>, hub: Arc<Hub>) -> io::Error {
        let ring = match self.ring() {
            Ok(ring) => ring,
            Err(error) => return error,
        };
        let mut quick = ticks(DRAIN_EVERY);
        let mut slow = ticks(DRAIN_EVERY_UNREAD);
        let mut counters = ticks(COUNTERS_EVERY);
        let mut last_record = Instant::now();
        let mut scan = None;
        let mut is_parked = false;
        loop {
            let is_read = self.lock().topics.is_read();
            tokio::select! {
                ready = ring.readable() => match ready {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(error) => return error,
                },
                _ = quick.tick(), if !is_parked && is_read => {}
                _ = slow.tick(), if !is_parked && !is_read => {}
                _ = counters.tick() => self.lock().read_counters(&hub),
                found = arrived(&mut scan) => {
                    scan = None;
                    self.lock().finish_scan(found);
                }
            }
            let mut state = self.lock();
            if state.drain() > 0 {
                last_record = Instant::now();
                is_parked = false;
            } else if !is_parked && last_record.elapsed() > IDLE {
                is_parked = state.park();
            }
            if scan.is_none() {
                scan = state.begin_scan_if_due();
            }
        }
    }

    fn ring(&self) -> io::Result<AsyncFd<OwnedFd>> {
        register(self.lock().stream.readiness()?, Interest::READABLE)
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

type Scan = oneshot::Receiver<Vec<Found>>;

/// Everybody. `asks_owners`: while the privileges for that are there.
fn scan(asks_owners: bool) -> Vec<Found> {
    match processes::scan(asks_owners) {
        Ok(found) => found.collect(),
        Err(error) => {
            tracing::warn!(%error, "/proc cannot be scanned");
            Vec::new()
        }
    }
}

/// Resolves when a scan is over; never, if there is none.
async fn arrived(scan: &mut Option<Scan>) -> Vec<Found> {
    match scan {
        // Whoever scans does not go away without an answer, or it found none.
        Some(scan) => scan.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

impl State {
    /// Takes in what is in the ring by now; how much that was.
    fn drain(&mut self) -> usize {
        self.clock.sync();
        let Self {
            stream,
            tracker,
            places,
            table,
            history,
            topics,
            loss,
            metrics,
            ..
        } = self;
        let mut is_lossy = false;
        let drained = stream.drain(|timed: Timed| -> Result<(), std::convert::Infallible> {
            table.apply(&timed);
            match places.record(tracker, timed) {
                Some(Record::Exit(exit)) => {
                    metrics.exit(&exit);
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
        });
        if is_lossy {
            self.scan_soon();
        }
        drained.unwrap_or_else(|never| match never {})
    }

    /// Whether nobody need look before the next record wakes us.
    fn park(&mut self) -> bool {
        if let Err(error) = self.stream.park() {
            tracing::warn!(%error, "the ring cannot be asked for a wake-up");
            return false;
        }
        // A record may have come between the last look and the flag.
        self.drain() == 0
    }

    /// Losses that the records do not tell of.
    fn read_counters(&mut self, hub: &Hub) {
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
    fn begin_scan_if_due(&mut self) -> Option<Scan> {
        let due = *self.rescans.first()?;
        if due > Instant::now() {
            return None;
        }
        self.rescans.remove(0);
        self.table.begin_scan(boottime_ns());
        let (tell, told) = oneshot::channel();
        let scan = move || {
            // The daemon may be gone: then nobody needs it.
            let _gone = tell.send(scan(false));
        };
        if let Err(error) = std::thread::Builder::new().name("scan".into()).spawn(scan) {
            tracing::warn!(%error, "no thread to scan /proc on");
        }
        Some(told)
    }

    fn finish_scan(&mut self, found: Vec<Found>) {
        for Found { mut process, place } in found {
            let id_of = |place: Place| self.tracker.id_of(place.hierarchy, &place.path);
            process.cgroup = place.and_then(id_of);
            self.table.scanned(&process);
        }
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
