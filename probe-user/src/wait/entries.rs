//! Passes each process that enters a watched cgroup to all waits for that cgroup.

use std::sync::{Arc, Mutex, Weak};

use super::hub::lock;
use crate::model::ProcessId;

/// The processes that entered a cgroup since one wait looked last.
#[derive(Debug, Default)]
pub(super) struct Entered(Mutex<Vec<ProcessId>>);

impl Entered {
    /// Takes the processes out.
    pub(super) fn take(&self) -> Vec<ProcessId> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// The waits for one cgroup.
#[derive(Debug, Default)]
pub(super) struct Entries(Mutex<Vec<Weak<Entered>>>);

impl Entries {
    /// Adds a wait.
    pub(super) fn subscribe(&self) -> Arc<Entered> {
        let entered = Arc::default();
        let mut waits = lock(&self.0);
        waits.retain(|wait| wait.strong_count() > 0);
        waits.push(Arc::downgrade(&entered));
        entered
    }

    pub(super) fn push(&self, process: ProcessId) {
        for wait in lock(&self.0).iter().filter_map(Weak::upgrade) {
            lock(&wait.0).push(process);
        }
    }
}
