//! The conditions of a wait, as a pure function of the facts of one moment.

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
    /// Whether `/proc` was searched for members that no look has seen; those found are
    /// among `processes`. On v1 the search cannot find them: an exiting task shows no
    /// cgroup there.
    pub searched: bool,
    /// Whether a process is still exiting that may be in a cgroup whose lists are empty.
    pub has_exiting: bool,
    /// Whether there may be such a process that was not found.
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
        if self.has_exiting {
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
        // A process target is known without a search. Members of a cgroup that came
        // and went between two looks are found by the search only.
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
            has_exiting in any::<bool>(),
            is_doubtful in any::<bool>(),
        ) -> Facts {
            Facts { cgroups, processes, searched, has_exiting, is_doubtful }
        }
    }

    proptest! {
        #[test]
        fn a_populated_cgroup_is_never_called_empty(facts in facts()) {
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
        fn no_condition_holds_while_a_process_is_exiting_and_a_doubtful_one_is_not_exact(facts in facts()) {
            for until in Until::ALL {
                let answer = facts.satisfy(until);
                prop_assert!(!facts.has_exiting || answer == Answer::No);
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
    fn reaped_of_a_cgroup_that_could_not_be_searched_is_not_exact() {
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
