//! The engine: the state of the daemon, and the task that keeps it up to date.
//!
//! One task drains the stream: on a timer while records come, else when the next
//! record wakes it. A request drains the stream as well before it reads, so that an
//! answer is never older than its request. Only the stream and scans of `/proc` change
//! the state.

use std::{
    io,
    ops::Range,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use probe_user::unstable::{
    bpf::ring::Stream,
    cgroup::mounts::Mounts,
    clock::{boottime_ns, ticks},
    container::Resolver,
    readiness::register,
    trace::reader::Pacing,
    wait::Hub,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    history::Past,
    scan::{Piece, Scan},
    state::State,
};
use crate::{access::visibility::Visibility, state::metrics::Metrics};

/// Time between two drains while records come, with and without readers.
const DRAIN_EVERY: Duration = Duration::from_millis(10);
const DRAIN_EVERY_UNREAD: Duration = Duration::from_millis(100);
/// How often counters that no record tells of are read.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// Exits that are read under one lock.
const PAST_AT_ONCE: usize = 64;

/// The state behind its lock.
pub(crate) struct Engine {
    state: Mutex<State>,
}

impl Engine {
    /// Starts with the scan of `/proc`; the BPF programs are attached already.
    pub(crate) fn new(
        stream: Stream,
        mounts: Mounts,
        resolver: Resolver,
        history: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let state = State::new(stream, mounts, resolver, history, metrics);
        Self {
            state: Mutex::new(state),
        }
    }

    /// The state up to this moment, with all records that came since the last drain.
    pub(crate) fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.drain_until(boottime_ns());
        // The pid that it was read for may belong to another process by now.
        state.visibility = Visibility::default();
        state
    }

    /// Some of the exits with these sequence numbers, beginning with the oldest that is
    /// kept. A caller asks again for the rest, so that it never holds the lock for
    /// long.
    pub(crate) fn past(&self, seqs: &Range<u64>) -> Vec<Past> {
        let state = self.lock();
        let past = state.history.since(seqs.start);
        past.take_while(|it| it.seq < seqs.end)
            .take(PAST_AT_ONCE)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps up with the kernel, for ever.
    pub(crate) async fn run(self: Arc<Self>, hub: Arc<Hub>) -> io::Error {
        let ring = match self.ring() {
            Ok(ring) => ring,
            Err(error) => return error,
        };
        let mut quick = ticks(DRAIN_EVERY);
        let mut slow = ticks(DRAIN_EVERY_UNREAD);
        let mut counters = ticks(COUNTERS_EVERY);
        let mut pacing = Pacing::default();
        let mut scan = None;
        loop {
            let is_read = self.lock().topics.is_read();
            tokio::select! {
                ready = ring.readable() => match ready {
                    Ok(mut ready) => {
                        ready.clear_ready();
                        pacing.woken();
                    }
                    Err(error) => return error,
                },
                _ = quick.tick(), if !pacing.is_parked() && is_read => {}
                _ = slow.tick(), if !pacing.is_parked() && !is_read => {}
                _ = counters.tick() => self.lock().read_counters(&hub),
                piece = arrived(&mut scan) => match piece {
                    Some(Piece::Found(found)) => self.lock().take_found(found),
                    ended => {
                        scan = None;
                        self.lock().end_scan(ended.is_some());
                    }
                },
            }
            let mut state = self.lock();
            if pacing.drained(state.drain())
                && let Some(count) = state.park()
            {
                pacing.parked(count);
            }
            if scan.is_none() {
                scan = state.begin_scan_if_due();
            }
        }
    }

    fn ring(&self) -> io::Result<AsyncFd<OwnedFd>> {
        register(self.lock().readiness()?, Interest::READABLE)
    }
}

/// Resolves when a scan has found some more, or with `None` when it was given up;
/// never, if there is none.
async fn arrived(scan: &mut Option<Scan>) -> Option<Piece> {
    match scan {
        Some(scan) => scan.recv().await,
        None => std::future::pending().await,
    }
}
