//! Rings for cgroups that somebody removes: one inotify instance for all waits
//! of a hub, made when the first wait that has no BPF takes longer.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::{io::Interest, task::JoinHandle};

use super::bell::{Ropes, WokenBy};
use crate::{
    cgroup::removals::{Entry, Removals},
    readiness::register,
};

/// See the module. Dropping it closes the instance.
#[derive(Debug, Default)]
pub(super) struct Directories(Mutex<Option<Served>>);

#[derive(Debug)]
struct Served {
    removals: Arc<Removals>,
    awaited: Arc<Awaited>,
    reader: JoinHandle<()>,
}

type Awaited = Mutex<HashMap<Entry, Weak<Ropes>>>;

impl Drop for Served {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Directories {
    /// Whether the removal of this open directory pulls the ropes from now on.
    pub(super) fn tie(&self, directory: BorrowedFd<'_>, ropes: &Arc<Ropes>) -> bool {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tied = match served.as_ref() {
            Some(served) => served.tie(directory, ropes),
            None => Served::start().and_then(|new| {
                let tied = new.tie(directory, ropes);
                *served = Some(new);
                tied
            }),
        };
        match tied {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "no inotify: the timer serves");
                false
            }
        }
    }
}

impl Served {
    fn start() -> std::io::Result<Self> {
        let removals = Arc::new(Removals::new()?);
        let awaited = Arc::new(Awaited::default());
        let reader = read(Arc::clone(&removals), Arc::clone(&awaited));
        Ok(Self {
            removals,
            awaited,
            reader: tokio::spawn(reader),
        })
    }

    fn tie(&self, directory: BorrowedFd<'_>, ropes: &Arc<Ropes>) -> std::io::Result<()> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_the_abandoned(&mut awaited);
        let entry = self.removals.watch(directory)?;
        awaited.insert(entry, Arc::downgrade(ropes));
        Ok(())
    }

    fn forget_the_abandoned(&self, awaited: &mut HashMap<Entry, Weak<Ropes>>) {
        let mut abandoned = Vec::new();
        awaited.retain(|(watch, _), ropes| {
            let is_awaited = ropes.strong_count() > 0;
            if !is_awaited {
                abandoned.push(*watch);
            }
            is_awaited
        });
        abandoned.sort_unstable();
        abandoned.dedup();
        for watch in abandoned {
            if !awaited.keys().any(|(other, _)| *other == watch) {
                self.removals.unwatch(watch);
            }
        }
    }
}

async fn read(removals: Arc<Removals>, awaited: Arc<Awaited>) {
    let ready = match register(removals.as_fd(), Interest::READABLE) {
        Ok(ready) => ready,
        Err(error) => {
            tracing::debug!(%error, "inotify cannot be waited for: the timer serves");
            return;
        }
    };
    while let Ok(mut guard) = ready.readable().await {
        guard.clear_ready();
        removals.drain(|removed| {
            let awaited = awaited.lock().unwrap_or_else(PoisonError::into_inner);
            let rings = awaited
                .iter()
                .filter(|(entry, _)| removed.as_ref().is_none_or(|removed| removed == *entry))
                .filter_map(|(_, ropes)| ropes.upgrade());
            rings.for_each(|ropes| ropes.pull(WokenBy::Directory));
        });
    }
}
