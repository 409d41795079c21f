//! The decisive ring: read until it fails. Its records wake waits, its losses
//! shorten their timers; neither decides anything.

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
    backoff::Doubt,
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

/// How often the loss counters are read: as often as the timer of a long wait
/// looks anyway.
const COUNTERS_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn serve(
    shared: Arc<Shared>,
    fail_reader: Arc<Notify>,
    loading: oneshot::Receiver<Result<(Attached, Rings), LoadError>>,
    tell: oneshot::Sender<Result<Stream, LoadError>>,
) {
    let (attached, rings) = match loading.await {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(error)) => {
            let _nobody_asks = tell.send(Err(error));
            return;
        }
        Err(_no_thread) => return,
    };
    let Ok(mut decisive) = register(rings.decisive, Interest::READABLE) else {
        return;
    };
    // A ring whose records name no cgroup wakes no wait.
    let least = if attached.knows_cgroups() {
        Doubt::None
    } else {
        Doubt::Always
    };
    shared.programs.set(Some(attached));
    let watched: Vec<_> = lock(&shared.cgroups)
        .values()
        .filter_map(Weak::upgrade)
        .collect();
    for watch in watched {
        shared.watch_in_kernel(&watch);
    }
    shared.doubt.send_replace(least);
    shared.wake_all(WokenBy::Timer);
    let _nobody_asks = tell.send(Ok(rings.stream));
    let ended = follow(&shared, &fail_reader, &mut decisive, least).await;
    tracing::warn!("the ring buffer cannot be waited for any more ({ended}): others serve");
    shared.programs.set(None);
    shared.doubt.send_replace(Doubt::Always);
}

/// Reads until the ring fails, and returns why.
async fn follow(
    shared: &Shared,
    fail_reader: &Notify,
    decisive: &mut AsyncFd<RingBuf<MapData>>,
    least: Doubt,
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
                    // A record between the last look and this line is looked at
                    // now; one after it makes the ring readable again.
                    drain(shared, decisive.get_mut());
                    // The loss counters are read later, so that the waits that were
                    // woken run first.
                    continue;
                }
            },
            () = fail_reader.notified() => return std::io::Error::other("told to stop"),
            _ = counters.tick() => shared.forget_the_abandoned(),
        }
        // Without loss counters we cannot know whether records are missing, so
        // the ring is given up.
        let Some(now) = shared.programs.losses() else {
            return std::io::Error::other("its counters cannot be read");
        };
        let doubt = match least {
            Doubt::None if losses.replace(now) != Some(now) => Doubt::Some,
            least => least,
        };
        let changed = shared
            .doubt
            .send_if_modified(|it| std::mem::replace(it, doubt) != doubt);
        if changed || doubt == Doubt::Some {
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
                tracing::warn!(%error, "a record of the BPF programs cannot be decoded");
                shared.wake_all(WokenBy::Ring);
            }
        }
    }
}
