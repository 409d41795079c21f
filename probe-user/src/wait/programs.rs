//! The BPF programs of a hub, once they are attached.

use std::sync::{Mutex, MutexGuard};

use probe_ebpf::config::occupancy;

use super::{hub::lock, occupancy::Recorded};
use crate::{
    bpf::load::{Attached, LoadError},
    model::CgroupId,
};

/// The attached programs; `None` before they are attached, and after their ring has failed.
#[derive(Default)]
pub(super) struct Programs(Mutex<Option<Attached>>);

impl Programs {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Attached>> {
        lock(&self.0)
    }

    pub(super) fn set(&self, attached: Option<Attached>) {
        *self.lock() = attached;
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

    /// Number of dropped records and skipped runs so far; `None` if the counters cannot be read.
    pub(super) fn losses(&self) -> Option<u64> {
        let mut attached = self.lock();
        let attached = attached.as_mut()?;
        attached.flush_log();
        let stream = attached.stream_losses().ok()?;
        Some(attached.decisive_dropped().ok()? + stream.dropped + stream.skipped)
    }
}
