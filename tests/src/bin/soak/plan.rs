//! The plan of a trial. It depends only on the seed and the number of the trial, so that the
//! trial can be repeated alone and with another backend.

use std::time::Duration;

use probe_user::model::Until;
use serde::{Deserialize, Serialize};

/// The scenario of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// Nothing but the kill.
    Plain,
    /// The cgroup is frozen, killed, and thawed, which delays `cgroup.events`.
    Frozen,
    /// The cgroup was empty and populated again just before, which delays `cgroup.events` too.
    Repopulated,
    /// Another process removes the cgroup at once, which cancels the notification of
    /// `cgroup.events`.
    Removed,
    /// Some members move to another cgroup and survive.
    Migration,
    /// A child cgroup is made during the wait, and a member moves there.
    Grown,
    /// Three waits share a target; one is cancelled.
    Shared,
    /// The target is one process.
    Process,
    /// The target is a cgroup in each hierarchy and an init process.
    Container,
}

/// The hierarchies of the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    V1,
    V2,
    Both,
}

/// The behaviour of a member until it dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Behaviour {
    #[default]
    Still,
    /// Makes children that exit, repeatedly.
    Forks,
    /// Exits as soon as it has a child with the same behaviour.
    Relays,
    /// Its first thread exits.
    Leaderless,
}

/// The way in which members end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// By `cgroup.kill` where it exists.
    Together,
    /// By a signal to each listed process.
    OneByOne,
    /// They exit by themselves.
    Leave,
}

/// The time at which the parent reaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaping {
    AtOnce,
    /// This long after all members have died.
    Late(Duration),
    /// After the trial.
    Never,
}

/// A check of the kernel's state after a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Populated,
    Procs,
    Ports,
    Rmdir,
    Lives,
}

impl Check {
    pub(crate) const ALL: [Self; 5] = [
        Self::Populated,
        Self::Procs,
        Self::Ports,
        Self::Rmdir,
        Self::Lives,
    ];
}

/// The plan of one trial.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) until: Until,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) processes: usize,
    /// Number of threads of each process.
    pub(crate) threads: usize,
    /// Memory of all processes together.
    pub(crate) mebibytes: usize,
    /// Number of nested cgroups that the processes are spread over.
    pub(crate) depth: usize,
    pub(crate) sockets: usize,
    /// Whether several processes hold each socket.
    pub(crate) shares_sockets: bool,
    pub(crate) behaviour: Behaviour,
    pub(crate) death: Death,
    pub(crate) reaping: Reaping,
    /// Whether the wait begins after the kill.
    pub(crate) is_late: bool,
    /// Number of busy processes outside the cgroup.
    pub(crate) cpu_hogs: usize,
    /// Delay of the kill.
    pub(crate) delay: Duration,
    /// The first check after the verdict.
    pub(crate) first: Check,
}

impl Plan {
    /// Limits the plan for an emulated machine, where large trials take long.
    pub(crate) fn small(self) -> Self {
        Self {
            processes: self.processes.min(20),
            threads: self.threads.min(8),
            mebibytes: self.mebibytes.min(16),
            ..self
        }
    }

    /// Keeps processes from forking while they are killed. User Mode Linux 6.12 panics then: an
    /// aborted `dup_mmap` leaves an `XA_ZERO_ENTRY`, which `flush_tlb_mm` takes for a memory
    /// area.
    /// <https://elixir.bootlin.com/linux/v6.12/source/arch/um/kernel/tlb.c#L200>
    pub(crate) fn without_forks(self) -> Self {
        Self {
            behaviour: match self.behaviour {
                Behaviour::Forks | Behaviour::Relays => Behaviour::Still,
                behaviour => behaviour,
            },
            ..self
        }
    }

    /// Whether all members are dead at the verdict.
    pub(crate) fn has_no_survivors(&self) -> bool {
        match self.shape {
            Shape::Process => self.processes == 1,
            Shape::Migration => self.until != Until::Empty,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_trial_is_repeated_by_its_number() {
        let text = |index| format!("{:?}", Plan::of(7, index));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }

    #[test]
    fn every_shape_is_drawn_and_most_trials_are_small() {
        let plans: Vec<_> = (0..2000).map(|index| Plan::of(1, index)).collect();
        let shapes: BTreeSet<_> = plans.iter().map(|plan| plan.shape).collect();
        assert_eq!(shapes.len(), 9, "{shapes:?}");
        let small = plans.iter().filter(|plan| plan.processes <= 12).count();
        assert!(small > 1600, "{small}");
        assert!(plans.iter().any(|plan| plan.processes > 200));
    }

    #[test]
    fn no_plan_waits_for_reaping_that_never_happens() {
        for plan in (0..2000).map(|index| Plan::of(2, index)) {
            assert!(plan.until != Until::Reaped || plan.reaping != Reaping::Never);
        }
    }
}
