//! The engine: the state of the daemon, and the task that keeps it up to date.
//!
//! The task drains the stream on a timer while records arrive, and otherwise when the next
//! record wakes it. A request also drains the stream before it reads the state, so that an
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
    clock::{boottime_ns, ticks},
    readiness::register,
    trace::reader::Pacing,
    wait::Hub,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    history::Past,
    mailbox::Mailbox,
    scan::{Piece, Scan},
    state::State,
};
use crate::access::visibility::Visibility;

/// Time between two drains while records arrive, with and without readers.
const DRAIN_EVERY: Duration = Duration::from_millis(10);
const DRAIN_EVERY_UNREAD: Duration = Duration::from_millis(100);
/// Time between two reads of the loss counters.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of exits that are copied while the lock is held.
const PAST_BATCH: usize = 64;

/// The state behind its lock.
pub(crate) struct Engine {
    state: Mutex<State>,
}

impl Engine {
    pub(crate) const fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// The state as of now, including all records since the last drain.
    pub(crate) fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.drain_until(boottime_ns());
        // Another process may have the pid of the last peer by now.
        state.visibility = Visibility::default();
        state
    }

    /// Adds to a mailbox every record and every loss until now, and no later one.
    pub(crate) fn complete(&self, mailbox: &Mailbox, hub: &Hub) {
        let mut state = self.lock();
        state.drain_until(boottime_ns());
        state.read_counters(hub);
        mailbox.close();
    }

    /// The oldest exits with these sequence numbers, at most [`PAST_BATCH`]. The caller
    /// calls this again for the rest, so that the lock is never held for long.
    pub(crate) fn past(&self, seqs: &Range<u64>) -> Vec<Past> {
        let state = self.lock();
        let past = state.tables.history.since(seqs.start);
        past.take_while(|it| it.seq < seqs.end)
            .take(PAST_BATCH)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drains the stream and scans `/proc` after losses. Returns only on an error.
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
            let has_readers = self.lock().tables.topics.has_readers();
            tokio::select! {
                ready = ring.readable() => match ready {
                    Ok(mut ready) => {
                        ready.clear_ready();
                        pacing.woken();
                    }
                    Err(error) => return error,
                },
                _ = quick.tick(), if !pacing.is_parked() && has_readers => {}
                _ = slow.tick(), if !pacing.is_parked() && !has_readers => {}
                _ = counters.tick() => self.lock().read_counters(&hub),
                piece = next_piece(&mut scan) => match piece {
                    Some(Piece::Found(found)) => self.lock().take_found(found),
                    ended => {
                        scan = None;
                        let sees_all = match ended {
                            Some(Piece::Complete(sees_all)) => Some(sees_all),
                            _ => None,
                        };
                        self.lock().end_scan(sees_all);
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

/// The next piece of the scan, or `None` if the scan failed. Never resolves without a scan.
async fn next_piece(scan: &mut Option<Scan>) -> Option<Piece> {
    match scan {
        Some(scan) => scan.recv().await,
        None => std::future::pending().await,
    }
}
