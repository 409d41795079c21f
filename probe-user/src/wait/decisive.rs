//! Reads the decisive ring until it fails. Its records wake waits, and its losses shorten
//! their timers.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
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
        decode,
        load::{Attached, LoadError, Rings},
        ring::Stream,
    },
    clock::ticks,
    model::Event,
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
    let Ok(mut decisive) = register(rings.decisive, Interest::READABLE) else {
        return;
    };
    // Without the ids of cgroups in its records the ring wakes no wait.
    let baseline = if attached.knows_cgroups() {
        Reliability::Full
    } else {
        Reliability::Low
    };
    shared.programs.set(Some(attached));
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
    let error = read(&shared, &fail_reader, &mut decisive, baseline).await;
    tracing::warn!(%error, "cannot read the ring buffer any more: using the other wake-up sources");
    shared.programs.set(None);
    shared.reliability.send_replace(Reliability::Low);
}

/// Reads until the ring fails, and returns the error.
async fn read(
    shared: &Shared,
    fail_reader: &Notify,
    decisive: &mut AsyncFd<RingBuf<MapData>>,
    baseline: Reliability,
) -> std::io::Error {
    let mut counters = ticks(COUNTERS_EVERY);
    let mut losses = shared.programs.losses();
    loop {
        tokio::select! {
            biased;
            ready = decisive.readable_mut() => match ready {
                Err(error) => return error,
                Ok(mut ready) => {
                    drain(shared, ready.get_inner_mut());
                    ready.clear_ready();
                    // The second drain reads a record that arrived before `clear_ready`; a
                    // later record makes the ring readable again.
                    drain(shared, decisive.get_mut());
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

fn drain(shared: &Shared, ring: &mut RingBuf<MapData>) {
    while let Some(record) = ring.next() {
        match decode::decode(&record).map(|timed| timed.event) {
            Ok(Event::CgroupEmpty(id) | Event::CgroupRemoved(id)) => {
                shared.wake(id, WokenBy::Ring);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot decode a record of the BPF programs");
                shared.wake_all(WokenBy::Ring);
            }
        }
    }
}
