//! Wakes waits when the directory of their cgroup is removed: one inotify instance
//! for all waits of a hub, made when the first wait without BPF takes longer.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::{io::Interest, task::JoinHandle};

use super::waker::{Wakers, WokenBy};
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

type Awaited = Mutex<HashMap<Entry, Weak<Wakers>>>;

impl Drop for Served {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Directories {
    /// Wakes `wakers` when this open directory is removed; whether that works.
    pub(super) fn attach(&self, directory: BorrowedFd<'_>, wakers: &Arc<Wakers>) -> bool {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attached = match served.as_ref() {
            Some(served) => served.attach(directory, wakers),
            None => Served::start().and_then(|new| {
                let attached = new.attach(directory, wakers);
                *served = Some(new);
                attached
            }),
        };
        match attached {
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

    fn attach(&self, directory: BorrowedFd<'_>, wakers: &Arc<Wakers>) -> std::io::Result<()> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_the_abandoned(&mut awaited);
        let entry = self.removals.watch(directory)?;
        awaited.insert(entry, Arc::downgrade(wakers));
        Ok(())
    }

    fn forget_the_abandoned(&self, awaited: &mut HashMap<Entry, Weak<Wakers>>) {
        let mut abandoned = Vec::new();
        awaited.retain(|(watch, _), wakers| {
            let is_awaited = wakers.strong_count() > 0;
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
            let matching = awaited
                .iter()
                .filter(|(entry, _)| removed.as_ref().is_none_or(|removed| removed == *entry))
                .filter_map(|(_, wakers)| wakers.upgrade());
            matching.for_each(|wakers| wakers.wake(WokenBy::Directory));
        });
    }
}
