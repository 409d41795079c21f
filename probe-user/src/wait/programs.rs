//! The BPF programs of a hub, once they are attached.

use std::sync::{Mutex, MutexGuard};

use probe_ebpf::config::occupancy;

use super::{hub::lock, occupancy::Recorded};
use crate::{
    bpf::{
        decisive_ring::DecisiveRing,
        load::{Attached, LoadError},
    },
    model::CgroupId,
};

/// The attached programs and their decisive ring; `None` before they are attached, and after
/// the ring has failed.
#[derive(Default)]
pub(super) struct Programs {
    attached: Mutex<Option<Attached>>,
    ring: Mutex<Option<DecisiveRing>>,
}

impl Programs {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Attached>> {
        lock(&self.attached)
    }

    pub(super) fn set(&self, programs: Option<(Attached, DecisiveRing)>) {
        let (attached, ring) = programs.unzip();
        *lock(&self.ring) = ring;
        *self.lock() = attached;
    }

    pub(super) fn ring(&self) -> Option<DecisiveRing> {
        lock(&self.ring).clone()
    }

    /// Makes the programs watch a cgroup; `None` without programs.
    pub(super) fn watch(&self, id: CgroupId) -> Option<Result<(), LoadError>> {
        self.lock().as_mut().map(|it| it.watch(id))
    }

    /// Ends the watches of the cgroups that `unused` returns. `unused` is called under the
    /// lock, so that a watch that begins meanwhile is not ended.
    pub(super) fn unwatch(&self, unused: impl FnOnce() -> Vec<CgroupId>) {
        let mut attached = self.lock();
        for id in unused() {
            if let Some(attached) = attached.as_mut() {
                attached.unwatch(id);
            }
        }
    }

    /// The recorded state of a watched cgroup; `None` if the programs do not know it.
    pub(super) fn recorded(&self, id: CgroupId) -> Option<Recorded> {
        match self.lock().as_ref()?.occupancy(id)? {
            occupancy::UNCHANGED => Some(Recorded::Unchanged),
            occupancy::EMPTY => Some(Recorded::Empty),
            _ => Some(Recorded::Populated),
        }
    }

    /// Number of processes that may have entered a watched cgroup without a record; `None` if
    /// entries are not reported.
    pub(super) fn missed_entries(&self, hierarchy: u32) -> Option<u64> {
        self.lock().as_ref()?.missed_entries(hierarchy)
    }

    /// Number of dropped records and skipped runs so far; `None` if the counters cannot be read.
    pub(super) fn losses(&self) -> Option<u64> {
        let mut attached = self.lock();
        let attached = attached.as_mut()?;
        attached.flush_log();
        let stream = attached.stream_losses().ok()?;
        Some(attached.decisive_dropped().ok()? + stream.dropped + stream.skipped)
    }
}
