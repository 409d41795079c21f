//! When a target is what somebody waits for: a question about facts, not about
//! events.

use crate::model::{CgroupState, ProcessState, Until};

/// What is known of a target at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// One for each cgroup that belongs to it.
    pub cgroups: Vec<CgroupState>,
    /// One for each process that belongs to it: the target itself, a
    /// container's init, the members of a cgroup seen since the wait began, and
    /// those that migrated out of it.
    pub processes: Vec<ProcessState>,
    /// Whether `/proc` was searched for members that nobody saw: found ones are
    /// among `processes`. v1 shows no cgroup of a task that exits.
    pub searched: bool,
    /// Whether somebody is still dying who may be in a cgroup that shows nobody.
    pub is_dying: bool,
    /// Whether there may be such a one who was not found.
    pub is_doubtful: bool,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not yet.
    No,
    /// It does.
    Yes {
        /// Whether that is certain on this kernel and hierarchy.
        exact: bool,
    },
}

impl Facts {
    /// Whether `until` holds.
    #[must_use]
    pub(crate) fn satisfy(&self, until: Until) -> Answer {
        if self.is_dying {
            return Answer::No;
        }
        let empty = || self.cgroups.iter().all(|&it| it != CgroupState::Populated);
        let all = |least| self.processes.iter().all(|&it| it >= least);
        let holds = match until {
            Until::Empty => empty(),
            Until::Removed => self.cgroups.iter().all(|&it| it == CgroupState::Removed),
            Until::Exited | Until::Stopped => empty() && all(ProcessState::Exited),
            Until::Reaped => empty() && all(ProcessState::Reaped),
        };
        if !holds {
            return Answer::No;
        }
        // A process that is known by itself needs no search; members of a cgroup
        // that came and went unseen are found by one alone.
        let needs_search = until.is_about_processes() && !self.cgroups.is_empty();
        Answer::Yes {
            exact: !self.is_doubtful && (!needs_search || self.searched),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cgroup_state() -> impl Strategy<Value = CgroupState> {
        prop_oneof![
            Just(CgroupState::Populated),
            Just(CgroupState::Empty),
            Just(CgroupState::Removed)
        ]
    }

    fn process_state() -> impl Strategy<Value = ProcessState> {
        prop_oneof![
            Just(ProcessState::Running),
            Just(ProcessState::Exiting),
            Just(ProcessState::Exited),
            Just(ProcessState::Reaped)
        ]
    }

    prop_compose! {
        fn facts()(
            cgroups in proptest::collection::vec(cgroup_state(), 0..3),
            processes in proptest::collection::vec(process_state(), 0..4),
            searched in any::<bool>(),
            is_dying in any::<bool>(),
            is_doubtful in any::<bool>(),
        ) -> Facts {
            Facts { cgroups, processes, searched, is_dying, is_doubtful }
        }
    }

    proptest! {
        #[test]
        fn nothing_populated_is_ever_called_empty(facts in facts()) {
            for until in [Until::Empty, Until::Exited, Until::Reaped, Until::Stopped] {
                if facts.cgroups.contains(&CgroupState::Populated) {
                    prop_assert_eq!(facts.satisfy(until), Answer::No);
                }
            }
        }

        #[test]
        fn a_process_with_a_running_or_exiting_task_is_never_called_exited(facts in facts()) {
            if facts.processes.iter().any(|it| !it.has_exited()) {
                for until in [Until::Exited, Until::Reaped, Until::Stopped] {
                    prop_assert_eq!(facts.satisfy(until), Answer::No);
                }
            }
        }

        #[test]
        fn nothing_holds_while_somebody_dies_and_what_is_doubtful_is_not_exact(facts in facts()) {
            for until in Until::ALL {
                let answer = facts.satisfy(until);
                prop_assert!(!facts.is_dying || answer == Answer::No);
                let is_exact = answer == Answer::Yes { exact: true };
                prop_assert!(!(facts.is_doubtful && is_exact));
            }
        }

        #[test]
        fn a_later_condition_holds_only_if_the_earlier_does(facts in facts()) {
            let holds = |until| facts.satisfy(until) != Answer::No;
            prop_assert!(!holds(Until::Reaped) || holds(Until::Exited));
            prop_assert!(!holds(Until::Exited) || holds(Until::Empty));
            prop_assert!(!holds(Until::Removed) || holds(Until::Empty));
        }
    }

    #[test]
    fn a_zombie_is_exited_and_its_cgroup_empty_but_it_is_not_reaped() {
        let facts = Facts {
            cgroups: vec![CgroupState::Empty],
            processes: vec![ProcessState::Exited],
            searched: true,
            ..Facts::default()
        };
        assert_eq!(facts.satisfy(Until::Empty), Answer::Yes { exact: true });
        assert_eq!(facts.satisfy(Until::Exited), Answer::Yes { exact: true });
        assert_eq!(facts.satisfy(Until::Reaped), Answer::No);
    }

    #[test]
    fn a_cgroup_that_could_not_be_searched_is_reaped_as_far_as_we_know() {
        let facts = Facts {
            cgroups: vec![CgroupState::Empty],
            processes: vec![ProcessState::Reaped],
            searched: false,
            ..Facts::default()
        };
        assert_eq!(facts.satisfy(Until::Empty), Answer::Yes { exact: true });
        assert_eq!(facts.satisfy(Until::Reaped), Answer::Yes { exact: false });
        let alone = Facts {
            cgroups: Vec::new(),
            ..facts
        };
        assert_eq!(alone.satisfy(Until::Reaped), Answer::Yes { exact: true });
    }
}
