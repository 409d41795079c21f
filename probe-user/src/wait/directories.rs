//! Wakes waits when the directory of their cgroup is removed. All waits of a hub share one
//! inotify instance, which is created when the first wait has run without BPF for a while.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, Weak},
};

use tokio::{io::Interest, task::JoinHandle};

use super::{
    hub::{lock, remove_dropped},
    waker::{Wakers, WokenBy},
};
use crate::{
    cgroup::removals::{Change, Entry, Removals},
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
        let started = match &mut *lock(&self.0) {
            Some(inotify) => inotify.attach(directory, wakers),
            none => Inotify::start().and_then(|it| none.insert(it).attach(directory, wakers)),
        };
        started
            .inspect_err(|error| tracing::debug!(%error, "cannot use inotify: using the timer"))
            .is_ok()
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
        let mut by_entry = lock(&self.wakers);
        // Removes entries without a wait, and the inotify watches without an entry.
        let dropped = remove_dropped(&mut by_entry).into_iter();
        let mut unused: HashSet<_> = dropped.map(|(watch, _)| watch).collect();
        unused.retain(|unused| by_entry.keys().all(|(watch, _)| watch != unused));
        for watch in unused {
            self.removals.unwatch(watch);
        }
        let entry = self.removals.watch(directory)?;
        by_entry.insert(entry, Arc::downgrade(wakers));
        Ok(())
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
        removals.drain(|change| {
            let mut by_entry = lock(&wakers);
            let woken: Vec<_> = match change {
                Change::Removed(entry) => by_entry.get(&entry).into_iter().cloned().collect(),
                Change::Renamed(before, after) => {
                    let moved = by_entry.remove(&before);
                    by_entry.extend(moved.map(|it| (after, it)));
                    return;
                }
                Change::Lost => by_entry.values().cloned().collect(),
            };
            let woken = woken.iter().filter_map(Weak::upgrade);
            woken.for_each(|wakers| wakers.wake(WokenBy::Directory));
        });
    }
}
