//! What many waits share: the BPF programs, the watches, the doubt.
//!
//! A task of its own reads the decisive ring (`decisive.rs`).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use super::{
    backoff::Doubt, directories::Directories, occupancy::Occupancy, programs::Programs,
    waker::WokenBy, watch::Watch,
};
use crate::{
    cgroup::pinned::PinnedCgroup,
    model::{Backend, CgroupId},
};

/// See the module. Dropping it detaches the programs and ends its tasks; waits
/// that are armed go on by what they watch themselves.
pub struct Hub {
    pub(super) shared: Arc<Shared>,
    #[cfg(feature = "bpf")]
    pub(super) bpf: super::bpf::Joining,
}

pub(super) struct Shared {
    /// The best that may be used.
    tier: Backend,
    pub(super) cgroups: Mutex<HashMap<CgroupId, Weak<Watch<Occupancy>>>>,
    pub(super) programs: Programs,
    pub(super) doubt: watch::Sender<Doubt>,
    directories: Arc<Directories>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// Serves at once, by what needs no privilege. `tier` is the best backend
    /// that may be used.
    #[must_use]
    pub fn start(tier: Backend) -> Self {
        Self {
            shared: Arc::new(Shared {
                tier,
                cgroups: Mutex::default(),
                programs: Programs::default(),
                doubt: watch::Sender::new(Doubt::Always),
                directories: Arc::default(),
            }),
            #[cfg(feature = "bpf")]
            bpf: super::bpf::Joining::default(),
        }
    }

    pub(super) fn tier(&self) -> Backend {
        self.shared.tier
    }

    /// The watch of a cgroup, the one that others have already if there is one.
    pub(super) fn watch(&self, pinned: PinnedCgroup) -> Arc<Watch<Occupancy>> {
        let id = pinned.id;
        self.shared.forget_the_abandoned();
        let mut cgroups = lock(&self.shared.cgroups);
        if let Some(watch) = cgroups.get(&id).and_then(Weak::upgrade) {
            return watch;
        }
        let doubt = self.shared.doubt.subscribe();
        let directories = Arc::clone(&self.shared.directories);
        let pinned = Occupancy::new(pinned, Arc::downgrade(&self.shared));
        let watch = Arc::new(Watch::cgroup(pinned, self.shared.tier, doubt, directories));
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
            Some(Ok(())) => watch.pinned.is_watched(),
            Some(Err(error)) => {
                tracing::warn!(%error, "the BPF programs do not watch the cgroup: the timer serves");
                self.doubt.send_replace(Doubt::Always);
            }
            None => {}
        }
    }

    /// Cgroups for which no wait is left need not be reported any more.
    pub(super) fn forget_the_abandoned(&self) {
        self.programs.unwatch(|| {
            let mut abandoned = Vec::new();
            lock(&self.cgroups).retain(|&id, watch| {
                let is_awaited = watch.strong_count() > 0;
                if !is_awaited {
                    abandoned.push(id);
                }
                is_awaited
            });
            abandoned
        });
    }

    pub(super) fn wake(&self, id: CgroupId, by: WokenBy) {
        let watch = lock(&self.cgroups).get(&id).and_then(Weak::upgrade);
        if let Some(watch) = watch {
            watch.wake(by);
        }
    }

    pub(super) fn wake_all(&self, by: WokenBy) {
        for watch in lock(&self.cgroups).values().filter_map(Weak::upgrade) {
            watch.wake(by);
        }
    }
}

/// Nothing that is locked here is left half done by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
