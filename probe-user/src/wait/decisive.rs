//! Reads the decisive ring until it fails. Its records wake waits, and its losses shorten
//! their timers.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, oneshot},
};

use super::{
    backoff::Reliability,
    hub::{Shared, lock},
    waker::WokenBy,
};
use crate::{
    bpf::{
        decisive_ring::DecisiveRing,
        load::{Attached, LoadError, Rings},
        ring::Stream,
    },
    clock::ticks,
    model::{CgroupId, Event, ProcessId},
    readiness::register,
};

/// How often the loss counters are read: as often as the timer wakes a long wait.
const COUNTERS_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn load_and_read(
    shared: Arc<Shared>,
    fail_reader: Arc<Notify>,
    loading: oneshot::Receiver<Result<(Attached, Rings), LoadError>>,
    loaded: oneshot::Sender<Result<Stream, LoadError>>,
) {
    let (attached, rings) = match loading.await {
        Ok(Ok(programs)) => programs,
        Ok(Err(error)) => {
            let _dropped = loaded.send(Err(error));
            return;
        }
        Err(_no_thread) => return,
    };
    let ring = rings.decisive;
    let Ok(decisive) = register(ring.clone(), Interest::READABLE) else {
        return;
    };
    // Without the ids of cgroups in its records the ring wakes no wait.
    let baseline = if attached.knows_cgroups() {
        Reliability::Full
    } else {
        Reliability::Low
    };
    shared.programs.set(Some((attached, ring)));
    let watched: Vec<_> = lock(&shared.cgroups)
        .values()
        .filter_map(Weak::upgrade)
        .collect();
    for watch in watched {
        shared.watch_in_kernel(&watch);
    }
    shared.reliability.send_replace(baseline);
    shared.wake_all(WokenBy::Timer);
    let _dropped = loaded.send(Ok(rings.stream));
    let error = read(&shared, &fail_reader, &decisive, baseline).await;
    tracing::warn!(%error, "cannot read the ring buffer any more: using the other wake-up sources");
    shared.programs.set(None);
    shared.reliability.send_replace(Reliability::Low);
}

/// Reads until the ring fails, and returns the error.
async fn read(
    shared: &Shared,
    fail_reader: &Notify,
    decisive: &AsyncFd<DecisiveRing>,
    baseline: Reliability,
) -> std::io::Error {
    let mut counters = ticks(COUNTERS_EVERY);
    let mut losses = shared.programs.losses();
    loop {
        tokio::select! {
            biased;
            ready = decisive.readable() => match ready {
                Err(error) => return error,
                Ok(mut ready) => {
                    shared.receive_entries();
                    ready.clear_ready();
                    // The second drain reads a record that arrived before `clear_ready`; a
                    // later record makes the ring readable again.
                    shared.receive_entries();
                    // The loss counters are read later, so that the woken waits run first.
                    continue;
                }
            },
            () = fail_reader.notified() => return std::io::Error::other("stopped by a test"),
            _ = counters.tick() => shared.remove_unused(),
        }
        // Without loss counters we cannot know whether records are missing, so this reader
        // gives up.
        let Some(now) = shared.programs.losses() else {
            return std::io::Error::other("cannot read the loss counters");
        };
        let reliability = match baseline {
            Reliability::Full if losses.replace(now) != Some(now) => Reliability::Lossy,
            baseline => baseline,
        };
        let changed = shared
            .reliability
            .send_if_modified(|it| std::mem::replace(it, reliability) != reliability);
        if changed || reliability == Reliability::Lossy {
            shared.wake_all(WokenBy::Timer);
        }
    }
}

impl Shared {
    /// Reads the decisive ring until it is empty: wakes the waits for cgroups that changed, and
    /// passes the processes that entered a cgroup to its waits. Returns whether there is a ring.
    pub(super) fn receive_entries(&self) -> bool {
        let Some(ring) = self.programs.ring() else {
            return false;
        };
        ring.drain(|event| match event {
            Ok(Event::CgroupEmpty(id) | Event::CgroupRemoved(id)) => self.wake(id, WokenBy::Ring),
            Ok(Event::CgroupEntered(id, process)) => self.enter(id, process),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot decode a record of the BPF programs");
                self.wake_all(WokenBy::Ring);
            }
        });
        true
    }
    /// Passes a process that entered a cgroup to the waits for the cgroup and its ancestors.
    fn enter(&self, id: CgroupId, process: ProcessId) {
        let Some(watch) = self.watch_of(id) else {
            return;
        };
        watch.pinned.entries.push(process);
        if lock(&self.cgroups).len() == 1 {
            return;
        }
        for &ancestor in watch.pinned.ancestors() {
            let ancestor = CgroupId { id: ancestor, ..id };
            if let Some(watch) = self.watch_of(ancestor) {
                watch.pinned.entries.push(process);
            }
        }
    }
}
