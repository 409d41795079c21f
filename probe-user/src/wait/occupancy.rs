//! The state of a watched cgroup, and whether it is certain: read from its files, and
//! from the map of the BPF programs where the files may hide tasks that are exiting.

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
    /// The hub whose programs watch it; it may be dropped before the wait.
    kernel: Weak<Shared>,
    /// The state that was read right after the programs began to watch it.
    at_first: Mutex<Option<CgroupState>>,
}

/// What was seen of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) state: CgroupState,
    /// Otherwise a task that is exiting may still be in it.
    pub(super) is_certain: bool,
}

/// What `populated` of a watched cgroup became last, as the BPF programs recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// Nothing has changed since the watch began.
    Unchanged,
    Empty,
    Populated,
}

impl Occupancy {
    pub(super) fn new(cgroup: PinnedCgroup, kernel: Weak<Shared>) -> Self {
        Self {
            cgroup,
            kernel,
            at_first: Mutex::default(),
        }
    }

    pub(super) const fn is_v2(&self) -> bool {
        self.cgroup.id.hierarchy == 0
    }

    /// The programs watch it from now on.
    pub(super) fn is_watched(&self) {
        *lock(&self.at_first) = self.cgroup.state().ok();
    }

    /// The state at this moment.
    pub(super) fn observe(&self) -> io::Result<Observation> {
        let state = self.cgroup.state()?;
        let is_shown = state == CgroupState::Populated
            || state == CgroupState::Empty && self.cgroup.events().is_some()
            || !departure::is_late();
        if is_shown {
            return Ok(Observation {
                state,
                is_certain: true,
            });
        }
        let recorded = self
            .kernel
            .upgrade()
            .and_then(|it| it.programs.recorded(self.cgroup.id));
        let at_first = *lock(&self.at_first);
        Ok(judge(state, recorded, at_first, self.is_v2()))
    }
}

/// What an empty list or a missing directory proves, given what the programs recorded.
fn judge(
    state: CgroupState,
    recorded: Option<Recorded>,
    at_first: Option<CgroupState>,
    is_v2: bool,
) -> Observation {
    let (state, is_certain) = match (recorded, at_first) {
        (Some(Recorded::Empty), _) => (state, true),
        // Unchanged since it was populated: its tasks have not left it.
        (Some(Recorded::Populated), _)
        | (Some(Recorded::Unchanged), Some(CgroupState::Populated)) => {
            (CgroupState::Populated, true)
        }
        // On v2 the first look read `populated`, which hides no task.
        (Some(Recorded::Unchanged), Some(CgroupState::Empty)) if is_v2 => (state, true),
        _ => (state, false),
    };
    Observation { state, is_certain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_that_was_populated_and_has_not_changed_is_populated_whatever_its_list_shows() {
        for recorded in [Recorded::Unchanged, Recorded::Populated] {
            let observation = judge(
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
        let observation = judge(
            CgroupState::Empty,
            Some(Recorded::Empty),
            Some(CgroupState::Populated),
            false,
        );
        assert_eq!(
            (observation.state, observation.is_certain),
            (CgroupState::Empty, true)
        );
        let observation = judge(
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
    fn a_list_that_was_empty_at_first_is_not_certain() {
        for recorded in [None, Some(Recorded::Unchanged)] {
            let observation = judge(
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
        let observation = judge(CgroupState::Removed, None, Some(CgroupState::Empty), true);
        assert!(!observation.is_certain);
    }
}
