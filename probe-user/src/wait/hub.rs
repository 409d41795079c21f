//! [`Hub`], which holds what waits share: the BPF programs and the watches of cgroups.
//!
//! A separate task reads the decisive ring (`decisive.rs`).

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use super::{
    backoff::Reliability, directories::Directories, occupancy::Occupancy, programs::Programs,
    waker::WokenBy, watch::Watch,
};
use crate::{
    cgroup::pinned::PinnedCgroup,
    model::{Backend, CgroupId},
};

/// What waits share. Dropping it detaches the programs and ends its tasks; armed waits go on
/// with their other wake-up sources.
pub struct Hub {
    pub(super) shared: Arc<Shared>,
    #[cfg(feature = "bpf")]
    pub(super) bpf: super::bpf::BpfTask,
}

pub(super) struct Shared {
    /// The best backend that waits may use.
    best_backend: Backend,
    pub(super) cgroups: Mutex<HashMap<CgroupId, Weak<Watch<Occupancy>>>>,
    pub(super) programs: Programs,
    pub(super) reliability: watch::Sender<Reliability>,
    directories: Arc<Directories>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub without BPF programs, which waits can use at once. `best_backend` is the best backend
    /// that they may use.
    #[must_use]
    pub fn start(best_backend: Backend) -> Self {
        Self {
            shared: Arc::new(Shared {
                best_backend,
                cgroups: Mutex::default(),
                programs: Programs::default(),
                reliability: watch::Sender::new(Reliability::Low),
                directories: Arc::default(),
            }),
            #[cfg(feature = "bpf")]
            bpf: super::bpf::BpfTask::default(),
        }
    }

    pub(super) fn best_backend(&self) -> Backend {
        self.shared.best_backend
    }

    /// The watch of a cgroup, which all waits for the cgroup share.
    pub(super) fn watch(&self, pinned: PinnedCgroup) -> Arc<Watch<Occupancy>> {
        let id = pinned.id;
        self.shared.remove_unused();
        let mut cgroups = lock(&self.shared.cgroups);
        if let Some(watch) = cgroups.get(&id).and_then(Weak::upgrade) {
            return watch;
        }
        let reliability = self.shared.reliability.subscribe();
        let directories = Arc::clone(&self.shared.directories);
        let pinned = Occupancy::new(pinned, Arc::downgrade(&self.shared));
        let watch = Arc::new(Watch::cgroup(
            pinned,
            self.shared.best_backend,
            reliability,
            directories,
        ));
        cgroups.insert(id, Arc::downgrade(&watch));
        drop(cgroups);
        self.shared.watch_in_kernel(&watch);
        watch
    }
}

impl Shared {
    pub(super) fn watch_in_kernel(&self, watch: &Watch<Occupancy>) {
        let id = watch.pinned.cgroup.id;
        match self.programs.watch(id) {
            Some(Ok(())) => watch.pinned.set_watched(),
            Some(Err(error)) => {
                tracing::warn!(%error, "the BPF programs cannot watch the cgroup: using the timer");
                self.reliability.send_replace(Reliability::Low);
            }
            None => {}
        }
    }

    /// Removes cgroups without a wait, and ends their watches in the kernel.
    pub(super) fn remove_unused(&self) {
        self.programs
            .unwatch(|| remove_dropped(&mut lock(&self.cgroups)));
    }

    pub(super) fn wake(&self, id: CgroupId, by: WokenBy) {
        if let Some(watch) = self.watch_of(id) {
            watch.wake(by);
        }
    }

    pub(super) fn watch_of(&self, id: CgroupId) -> Option<Arc<Watch<Occupancy>>> {
        lock(&self.cgroups).get(&id).and_then(Weak::upgrade)
    }

    pub(super) fn wake_all(&self, by: WokenBy) {
        for watch in lock(&self.cgroups).values().filter_map(Weak::upgrade) {
            watch.wake(by);
        }
    }
}

/// Removes the entries of dropped values, and returns their keys.
pub(super) fn remove_dropped<K: Eq + Hash, V>(map: &mut HashMap<K, Weak<V>>) -> Vec<K> {
    let dropped = map.extract_if(|_, value| value.strong_count() == 0);
    dropped.map(|(key, _)| key).collect()
}

/// Locks a mutex and ignores poisoning: no panic leaves the data of this module inconsistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
