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
    use super::*;

    #[test]
    fn a_populated_cgroup_without_a_recorded_change_is_populated_despite_an_empty_list() {
        for recorded in [Recorded::Unchanged, Recorded::Populated] {
            let observation = combine(
                CgroupState::Removed,
                Some(recorded),
                Some(CgroupState::Populated),
                false,
            );
            assert_eq!(observation.state, CgroupState::Populated);
        }
    }

    #[test]
    fn an_empty_list_is_certain_once_the_programs_recorded_empty() {
        let observation = combine(
            CgroupState::Empty,
            Some(Recorded::Empty),
            Some(CgroupState::Populated),
            false,
        );
        assert_eq!(
            (observation.state, observation.is_certain),
            (CgroupState::Empty, true)
        );
        let observation = combine(
            CgroupState::Removed,
            Some(Recorded::Unchanged),
            Some(CgroupState::Empty),
            true,
        );
        assert_eq!(
            (observation.state, observation.is_certain),
            (CgroupState::Removed, true)
        );
    }

    #[test]
    fn a_list_that_was_empty_when_the_watch_began_is_not_certain() {
        for recorded in [None, Some(Recorded::Unchanged)] {
            let observation = combine(
                CgroupState::Empty,
                recorded,
                Some(CgroupState::Empty),
                false,
            );
            assert_eq!(
                (observation.state, observation.is_certain),
                (CgroupState::Empty, false)
            );
        }
        let observation = combine(CgroupState::Removed, None, Some(CgroupState::Empty), true);
        assert!(!observation.is_certain);
    }
}
