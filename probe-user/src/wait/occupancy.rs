//! Reads the state of a watched cgroup from its files, and from the map of the BPF programs
//! where the files may hide exiting tasks.

use std::{
    io,
    sync::{Mutex, Weak},
};

use super::hub::{Shared, lock};
use crate::{cgroup::pinned::PinnedCgroup, kernel::departure, model::CgroupState};

/// A cgroup that is watched.
#[derive(Debug)]
pub(super) struct Occupancy {
    pub(super) cgroup: PinnedCgroup,
    /// The hub with the programs that watch it; the hub may be dropped before the wait.
    hub: Weak<Shared>,
    /// The state that was read right after the programs began to watch the cgroup.
    initial: Mutex<Option<CgroupState>>,
}

/// The state of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) state: CgroupState,
    /// `false` if an exiting task may still be in the cgroup.
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
            hub,
            initial: Mutex::default(),
        }
    }

    pub(super) const fn is_v2(&self) -> bool {
        self.cgroup.id.hierarchy == 0
    }

    /// Notes that the programs watch the cgroup from now on.
    pub(super) fn set_watched(&self) {
        *lock(&self.initial) = self.cgroup.state().ok();
    }

    /// The current state.
    pub(super) fn observe(&self) -> io::Result<Observation> {
        let state = self.cgroup.state()?;
        let is_proven = state == CgroupState::Populated
            || state == CgroupState::Empty && self.cgroup.events().is_some()
            || !departure::is_late();
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
        Ok(combine(state, recorded, initial, self.is_v2()))
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
