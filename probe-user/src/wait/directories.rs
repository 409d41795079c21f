//! Wakes waits when the directory of their cgroup is removed. All waits of a hub share one
//! inotify instance, which is created when the first wait has run without BPF for a while.

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

/// The inotify instance of a hub, once it is needed. Dropping it closes the instance.
#[derive(Debug, Default)]
pub(super) struct Directories(Mutex<Option<Inotify>>);

#[derive(Debug)]
struct Inotify {
    removals: Arc<Removals>,
    wakers: Arc<WakersByEntry>,
    reader: JoinHandle<()>,
}

type WakersByEntry = Mutex<HashMap<Entry, Weak<Wakers>>>;

impl Drop for Inotify {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Directories {
    /// Wakes `wakers` when this open directory is removed. Returns whether inotify can watch
    /// it.
    pub(super) fn attach(&self, directory: BorrowedFd<'_>, wakers: &Arc<Wakers>) -> bool {
        let mut inotify = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attached = match inotify.as_ref() {
            Some(inotify) => inotify.attach(directory, wakers),
            None => Inotify::start().and_then(|new| {
                let attached = new.attach(directory, wakers);
                *inotify = Some(new);
                attached
            }),
        };
        match attached {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "cannot use inotify: using the timer");
                false
            }
        }
    }
}

impl Inotify {
    fn start() -> std::io::Result<Self> {
        let removals = Arc::new(Removals::new()?);
        let wakers = Arc::new(WakersByEntry::default());
        let reader = read(Arc::clone(&removals), Arc::clone(&wakers));
        Ok(Self {
            removals,
            wakers,
            reader: tokio::spawn(reader),
        })
    }

    fn attach(&self, directory: BorrowedFd<'_>, wakers: &Arc<Wakers>) -> std::io::Result<()> {
        let mut by_entry = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        self.remove_unused(&mut by_entry);
        let entry = self.removals.watch(directory)?;
        by_entry.insert(entry, Arc::downgrade(wakers));
        Ok(())
    }

    /// Removes entries without a wait, and the inotify watches without an entry.
    fn remove_unused(&self, by_entry: &mut HashMap<Entry, Weak<Wakers>>) {
        let mut unused = Vec::new();
        by_entry.retain(|(watch, _), wakers| {
            let is_used = wakers.strong_count() > 0;
            if !is_used {
                unused.push(*watch);
            }
            is_used
        });
        unused.sort_unstable();
        unused.dedup();
        for watch in unused {
            if !by_entry.keys().any(|(other, _)| *other == watch) {
                self.removals.unwatch(watch);
            }
        }
    }
}

async fn read(removals: Arc<Removals>, wakers: Arc<WakersByEntry>) {
    let ready = match register(removals.as_fd(), Interest::READABLE) {
        Ok(ready) => ready,
        Err(error) => {
            tracing::debug!(%error, "cannot poll inotify: using the timer");
            return;
        }
    };
    while let Ok(mut guard) = ready.readable().await {
        guard.clear_ready();
        removals.drain(|removed| {
            let by_entry = wakers.lock().unwrap_or_else(PoisonError::into_inner);
            let matching = by_entry
                .iter()
                .filter(|(entry, _)| removed.as_ref().is_none_or(|removed| removed == *entry))
                .filter_map(|(_, wakers)| wakers.upgrade());
            matching.for_each(|wakers| wakers.wake(WokenBy::Directory));
        });
    }
}
