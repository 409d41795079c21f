//! Decides whether a condition holds, as a pure function of the facts of one moment.

use crate::model::{CgroupState, ProcessState, Until};

/// The facts about a target at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each fact is independent of the others"
)]
pub struct Facts {
    /// The state of each cgroup of the target.
    pub cgroups: Vec<CgroupState>,
    /// The state of each process of the target: the target itself, a container's init, and
    /// the members of a cgroup since the wait began, including those that migrated out of it.
    pub processes: Vec<ProcessState>,
    /// Whether every process that was a member since the wait was armed is among `processes`,
    /// unless it has reached the wanted state.
    pub knows_members: bool,
    /// Whether a cgroup is frozen. A runtime calls its container paused then, and refuses to
    /// delete it.
    pub frozen: bool,
    /// Whether a process was found that may be in a cgroup with empty lists.
    pub has_unlisted: bool,
    /// Whether there may be a process, in a cgroup with empty lists, that was not found.
    pub may_have_unseen: bool,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The condition does not hold yet.
    No,
    /// The condition holds.
    Yes {
        /// Whether the answer is certain on this kernel and hierarchy.
        exact: bool,
    },
}

impl Facts {
    /// Whether `until` holds.
    #[must_use]
    pub(crate) fn satisfy(&self, until: Until) -> Answer {
        if self.has_unlisted {
            return Answer::No;
        }
        let empty = || self.cgroups.iter().all(|&it| it != CgroupState::Populated);
        let all = |least| self.processes.iter().all(|&it| it >= least);
        let removed = || self.cgroups.iter().all(|&it| it == CgroupState::Removed);
        let holds = match until {
            // A container without cgroups has only its processes.
            Until::Empty | Until::Removed if self.cgroups.is_empty() => all(ProcessState::Exited),
            Until::Empty => empty(),
            Until::Removed => removed(),
            Until::Exited => empty() && all(ProcessState::Exited),
            Until::Stopped => empty() && all(ProcessState::Exited) && !self.frozen,
            Until::Reaped => empty() && all(ProcessState::Reaped),
        };
        if !holds {
            return Answer::No;
        }
        // A target without cgroups has no members but its processes.
        let needs_members = until.follows_members() && !self.cgroups.is_empty();
        Answer::Yes {
            exact: !self.may_have_unseen && (!needs_members || self.knows_members),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const CGROUPS: &[CgroupState] = {
        use CgroupState::{Empty, Populated, Removed};
        &[Populated, Empty, Removed]
    };
    const PROCESSES: &[ProcessState] = {
        use ProcessState::{Exited, Exiting, Reaped, Running};
        &[Running, Exiting, Exited, Reaped]
    };

    prop_compose! {
        fn facts()(
            cgroups in vec(select(CGROUPS), 0..3),
            processes in vec(select(PROCESSES), 0..4),
            knows_members in any::<bool>(),
            frozen in any::<bool>(),
            has_unlisted in any::<bool>(),
            may_have_unseen in any::<bool>(),
        ) -> Facts {
            Facts { cgroups, processes, knows_members, frozen, has_unlisted, may_have_unseen }
        }
    }

    proptest! {
        #[test]
        fn no_condition_about_members_holds_for_a_populated_cgroup(facts in facts()) {
            for until in [Until::Empty, Until::Exited, Until::Reaped, Until::Stopped] {
                if facts.cgroups.contains(&CgroupState::Populated) {
                    prop_assert_eq!(facts.satisfy(until), Answer::No);
                }
            }
        }

        #[test]
        fn no_condition_about_processes_holds_while_a_process_has_not_exited(facts in facts()) {
            if facts.processes.iter().any(|it| !it.has_exited()) {
                for until in [Until::Exited, Until::Reaped, Until::Stopped] {
                    prop_assert_eq!(facts.satisfy(until), Answer::No);
                }
            }
        }

        #[test]
        fn unlisted_processes_delay_a_verdict_and_unseen_ones_make_it_inexact(facts in facts()) {
            for until in Until::ALL {
                let answer = facts.satisfy(until);
                prop_assert!(!facts.has_unlisted || answer == Answer::No);
                let is_exact = answer == Answer::Yes { exact: true };
                prop_assert!(!(facts.may_have_unseen && is_exact));
            }
        }

        #[test]
        fn a_stronger_condition_holds_only_if_the_weaker_one_does(facts in facts()) {
            let holds = |until| facts.satisfy(until) != Answer::No;
            prop_assert!(!holds(Until::Reaped) || holds(Until::Exited));
            prop_assert!(!holds(Until::Exited) || holds(Until::Empty));
            prop_assert!(!holds(Until::Removed) || holds(Until::Empty));
        }
    }

    #[test]
    fn a_frozen_cgroup_without_processes_is_empty_but_its_container_is_not_stopped() {
        let facts = Facts {
            cgroups: vec![CgroupState::Empty],
            knows_members: true,
            frozen: true,
            ..Facts::default()
        };
        assert_eq!(facts.satisfy(Until::Stopped), Answer::No);
        for until in [Until::Empty, Until::Exited] {
            assert_eq!(facts.satisfy(until), Answer::Yes { exact: true });
        }
    }

    #[test]
    fn a_zombie_satisfies_empty_and_exited_but_not_reaped() {
        let facts = Facts {
            cgroups: vec![CgroupState::Empty],
            processes: vec![ProcessState::Exited],
            knows_members: true,
            ..Facts::default()
        };
        assert_eq!(facts.satisfy(Until::Empty), Answer::Yes { exact: true });
        assert_eq!(facts.satisfy(Until::Exited), Answer::Yes { exact: true });
        assert_eq!(facts.satisfy(Until::Reaped), Answer::No);
    }

    #[test]
    fn without_cgroups_a_target_is_empty_once_its_processes_have_exited() {
        for (state, expected) in [
            (ProcessState::Running, Answer::No),
            (ProcessState::Exited, Answer::Yes { exact: true }),
        ] {
            let facts = Facts {
                processes: vec![state],
                ..Facts::default()
            };
            assert_eq!(facts.satisfy(Until::Empty), expected);
            assert_eq!(facts.satisfy(Until::Removed), expected);
        }
    }

    #[test]
    fn conditions_about_processes_are_not_exact_for_a_cgroup_with_unknown_members() {
        let facts = Facts {
            cgroups: vec![CgroupState::Empty],
            processes: vec![ProcessState::Reaped],
            knows_members: false,
            ..Facts::default()
        };
        assert_eq!(facts.satisfy(Until::Empty), Answer::Yes { exact: true });
        for until in [Until::Exited, Until::Reaped, Until::Stopped] {
            assert_eq!(facts.satisfy(until), Answer::Yes { exact: false });
        }
        let alone = Facts {
            cgroups: Vec::new(),
            ..facts
        };
        assert_eq!(alone.satisfy(Until::Reaped), Answer::Yes { exact: true });
    }
}
