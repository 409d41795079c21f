//! Reads the state of a watched cgroup from its files, and from the map of the BPF programs
//! where the files prove nothing.
//!
//! On v2 `populated` proves that a cgroup is empty. On v1 empty lists do not: they are read one
//! after the other, and no list has a process that moves among the cgroups of the subtree
//! meanwhile.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    entries::{Entered, Entries},
    hub::{Shared, lock},
};
use crate::{cgroup::pinned::PinnedCgroup, kernel::departure, model::CgroupState};

/// A cgroup that is watched.
#[derive(Debug)]
pub(super) struct Occupancy {
    pub(super) cgroup: PinnedCgroup,
    pub(super) entries: Entries,
    /// The hub with the programs that watch it; the hub may be dropped before the wait.
    hub: Weak<Shared>,
    /// The state that was read right after the programs began to watch the cgroup.
    initial: Mutex<Option<CgroupState>>,
    /// Whether the programs watch the cgroup.
    is_watched: AtomicBool,
    ancestors: OnceLock<Vec<u64>>,
}

/// The state of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) state: CgroupState,
    /// `false` if a task may still be in the cgroup.
    pub(super) is_certain: bool,
}

/// The last value of `populated` that the BPF programs recorded for a watched cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The value has not changed since the watch began.
    Unchanged,
    Empty,
    Populated,
}

impl Occupancy {
    pub(super) fn new(cgroup: PinnedCgroup, hub: Weak<Shared>) -> Self {
        Self {
            cgroup,
            entries: Entries::default(),
            hub,
            initial: Mutex::default(),
            is_watched: AtomicBool::new(false),
            ancestors: OnceLock::new(),
        }
    }

    pub(super) const fn is_v2(&self) -> bool {
        self.cgroup.id.hierarchy == 0
    }

    /// Notes that the programs watch the cgroup from now on.
    pub(super) fn set_watched(&self) {
        *lock(&self.initial) = self.cgroup.state().ok();
        self.is_watched.store(true, Ordering::Release);
    }

    /// Inode numbers of the ancestors, the innermost first.
    pub(super) fn ancestors(&self) -> &[u64] {
        self.ancestors.get_or_init(|| self.cgroup.ancestors())
    }

    /// Begins to collect the processes that enter the cgroup.
    pub(super) fn subscribe(&self) -> Arc<Entered> {
        self.entries.subscribe()
    }

    /// Passes every process that has entered the cgroup until now to the waits. Returns whether
    /// the programs watch the cgroup.
    pub(super) fn receive_entries(&self) -> bool {
        let hub = self.hub.upgrade();
        let hub = hub.filter(|_| self.is_watched.load(Ordering::Acquire));
        hub.is_some_and(|hub| hub.receive_entries())
    }

    /// The number of entries that the programs may have missed so far; `None` if they do not
    /// report entries.
    pub(super) fn missed_entries(&self) -> Option<u64> {
        let hub = self.hub.upgrade()?;
        hub.programs.missed_entries(self.cgroup.id.hierarchy)
    }

    /// The current state.
    pub(super) fn observe(&self) -> io::Result<Observation> {
        let state = self.cgroup.state()?;
        let is_proven = match state {
            CgroupState::Populated => true,
            CgroupState::Empty => self.is_v2(),
            CgroupState::Removed => !departure::is_late(),
        };
        if is_proven {
            return Ok(Observation {
                state,
                is_certain: true,
            });
        }
        let recorded = self
            .hub
            .upgrade()
            .and_then(|it| it.programs.recorded(self.cgroup.id));
        let initial = *lock(&self.initial);
        let observation = combine(state, recorded, initial, self.is_v2());
        if observation.is_certain || state != CgroupState::Empty {
            return Ok(observation);
        }
        self.observe_lists_again()
    }

    /// Examines a v1 cgroup that seems empty, and of which the programs know nothing.
    fn observe_lists_again(&self) -> io::Result<Observation> {
        let has_no_task = !departure::is_late() && self.cgroup.charges_no_task()?;
        let state = if has_no_task {
            CgroupState::Empty
        } else {
            self.cgroup.state()?
        };
        Ok(Observation {
            state,
            is_certain: has_no_task || state == CgroupState::Populated,
        })
    }
}

/// Combines an empty list or a missing directory with the value that the programs recorded.
fn combine(
    state: CgroupState,
    recorded: Option<Recorded>,
    initial: Option<CgroupState>,
    is_v2: bool,
) -> Observation {
    let (state, is_certain) = match (recorded, initial) {
        (Some(Recorded::Empty), _) => (state, true),
        // A populated cgroup without a change still has its tasks.
        (Some(Recorded::Populated), _)
        | (Some(Recorded::Unchanged), Some(CgroupState::Populated)) => {
            (CgroupState::Populated, true)
        }
        // On v2 the initial state was read from `populated`, which hides no task.
        (Some(Recorded::Unchanged), Some(CgroupState::Empty)) if is_v2 => (state, true),
        _ => (state, false),
    };
    Observation { state, is_certain }
}

#[cfg(test)]
mod tests {
    use super::{
        CgroupState::{Empty, Populated, Removed},
        *,
    };

    #[test]
    fn the_recorded_value_decides_what_an_empty_list_proves() {
        let [unchanged, emptied, populated] =
            [Recorded::Unchanged, Recorded::Empty, Recorded::Populated].map(Some);
        for (seen, recorded, initial, is_v2, state, is_certain) in [
            (Removed, unchanged, Populated, false, Populated, true),
            (Removed, populated, Populated, false, Populated, true),
            (Empty, emptied, Populated, false, Empty, true),
            (Empty, unchanged, Populated, false, Populated, true),
            (Removed, unchanged, Empty, true, Removed, true),
            (Empty, unchanged, Empty, false, Empty, false),
            (Empty, None, Empty, false, Empty, false),
            (Removed, None, Empty, true, Removed, false),
        ] {
            let observation = combine(seen, recorded, Some(initial), is_v2);
            let expected = Observation { state, is_certain };
            let case = (seen, recorded, initial, is_v2);
            assert_eq!(observation, expected, "{case:?}");
        }
    }
}
