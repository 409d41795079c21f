//! What a watched cgroup is, and whether that is certain: its files, and what
//! the kernel half has kept of it where they may hide who is dying.

use std::{
    io,
    sync::{Mutex, Weak},
};

use super::hub::{Shared, lock};
use crate::{cgroup::pinned::PinnedCgroup, kernel::departure, model::Level};

/// A cgroup that is watched.
#[derive(Debug)]
pub(super) struct Occupancy {
    pub(super) cgroup: PinnedCgroup,
    /// The hub's, which may end before.
    kernel: Weak<Shared>,
    /// What it was when the kernel half had begun to watch it.
    at_first: Mutex<Option<Level>>,
}

/// What was seen of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) level: Level,
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
        *lock(&self.at_first) = self.cgroup.level().ok();
    }

    /// What it is at this moment.
    pub(super) fn observe(&self) -> io::Result<Observation> {
        let level = self.cgroup.level()?;
        let is_told = level == Level::Populated
            || level == Level::Empty && self.cgroup.events().is_some()
            || !departure::is_late();
        if is_told {
            return Ok(Observation {
                level,
                is_certain: true,
            });
        }
        let told = self
            .kernel
            .upgrade()
            .and_then(|it| it.programs.told(self.cgroup.id));
        let at_first = *lock(&self.at_first);
        Ok(judge(level, told, at_first, self.is_v2()))
    }
}

/// What files that show nobody are worth.
fn judge(level: Level, told: Option<Told>, at_first: Option<Level>, is_v2: bool) -> Observation {
    let (level, is_certain) = match (told, at_first) {
        (Some(Told::Empty), _) => (level, true),
        // In the second case whoever was in it has not left.
        (Some(Told::Populated), _) | (Some(Told::Unchanged), Some(Level::Populated)) => {
            (Level::Populated, true)
        }
        // `populated` of v2 was right already.
        (Some(Told::Unchanged), Some(Level::Empty)) if is_v2 => (level, true),
        _ => (level, false),
    };
    Observation { level, is_certain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_seen_and_has_not_left_is_there_though_no_list_says_so() {
        for told in [Told::Unchanged, Told::Populated] {
            let observation = judge(Level::Removed, Some(told), Some(Level::Populated), false);
            assert_eq!(observation.level, Level::Populated);
        }
    }

    #[test]
    fn an_empty_list_is_believed_once_the_kernel_half_agrees() {
        let observation = judge(
            Level::Empty,
            Some(Told::Empty),
            Some(Level::Populated),
            false,
        );
        assert_eq!(
            (observation.level, observation.is_certain),
            (Level::Empty, true)
        );
        let observation = judge(
            Level::Removed,
            Some(Told::Unchanged),
            Some(Level::Empty),
            true,
        );
        assert_eq!(
            (observation.level, observation.is_certain),
            (Level::Removed, true)
        );
    }

    #[test]
    fn a_list_that_was_empty_at_first_proves_nothing() {
        for told in [None, Some(Told::Unchanged)] {
            let observation = judge(Level::Empty, told, Some(Level::Empty), false);
            assert_eq!(
                (observation.level, observation.is_certain),
                (Level::Empty, false)
            );
        }
        let observation = judge(Level::Removed, None, Some(Level::Empty), true);
        assert!(!observation.is_certain);
    }
}
