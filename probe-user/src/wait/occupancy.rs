//! What a watched cgroup is, and whether that is certain: its files, and what
//! the kernel half has kept of it where they may hide who is dying.

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
    /// The hub's, which may end before.
    kernel: Weak<Shared>,
    /// What it was when the kernel half had begun to watch it.
    at_first: Mutex<Option<CgroupState>>,
}

/// What was seen of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) state: CgroupState,
    /// Otherwise a task that is exiting may still be in it.
    pub(super) is_certain: bool,
}

/// What `populated` of a watched cgroup became last, as the kernel half saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
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

    /// The kernel half watches it from now on.
    pub(super) fn is_watched(&self) {
        *lock(&self.at_first) = self.cgroup.state().ok();
    }

    /// What it is at this moment.
    pub(super) fn observe(&self) -> io::Result<Observation> {
        let state = self.cgroup.state()?;
        let is_told = state == CgroupState::Populated
            || state == CgroupState::Empty && self.cgroup.events().is_some()
            || !departure::is_late();
        if is_told {
            return Ok(Observation {
                state,
                is_certain: true,
            });
        }
        let told = self
            .kernel
            .upgrade()
            .and_then(|it| it.programs.told(self.cgroup.id));
        let at_first = *lock(&self.at_first);
        Ok(judge(state, told, at_first, self.is_v2()))
    }
}

/// What files that show nobody are worth.
fn judge(
    state: CgroupState,
    told: Option<Told>,
    at_first: Option<CgroupState>,
    is_v2: bool,
) -> Observation {
    let (state, is_certain) = match (told, at_first) {
        (Some(Told::Empty), _) => (state, true),
        // In the second case whoever was in it has not left.
        (Some(Told::Populated), _) | (Some(Told::Unchanged), Some(CgroupState::Populated)) => {
            (CgroupState::Populated, true)
        }
        // `populated` of v2 was right already.
        (Some(Told::Unchanged), Some(CgroupState::Empty)) if is_v2 => (state, true),
        _ => (state, false),
    };
    Observation { state, is_certain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_seen_and_has_not_left_is_there_though_no_list_says_so() {
        for told in [Told::Unchanged, Told::Populated] {
            let observation = judge(
                CgroupState::Removed,
                Some(told),
                Some(CgroupState::Populated),
                false,
            );
            assert_eq!(observation.state, CgroupState::Populated);
        }
    }

    #[test]
    fn an_empty_list_is_believed_once_the_kernel_half_agrees() {
        let observation = judge(
            CgroupState::Empty,
            Some(Told::Empty),
            Some(CgroupState::Populated),
            false,
        );
        assert_eq!(
            (observation.state, observation.is_certain),
            (CgroupState::Empty, true)
        );
        let observation = judge(
            CgroupState::Removed,
            Some(Told::Unchanged),
            Some(CgroupState::Empty),
            true,
        );
        assert_eq!(
            (observation.state, observation.is_certain),
            (CgroupState::Removed, true)
        );
    }

    #[test]
    fn a_list_that_was_empty_at_first_proves_nothing() {
        for told in [None, Some(Told::Unchanged)] {
            let observation = judge(CgroupState::Empty, told, Some(CgroupState::Empty), false);
            assert_eq!(
                (observation.state, observation.is_certain),
                (CgroupState::Empty, false)
            );
        }
        let observation = judge(CgroupState::Removed, None, Some(CgroupState::Empty), true);
        assert!(!observation.is_certain);
    }
}
