//! The plan of a trial. It depends only on the seed and the number of the trial, so that the
//! trial can be repeated alone and with another backend.

use std::time::Duration;

use clap::ValueEnum;
use probe_user::model::Until;
use serde::{Deserialize, Serialize};

/// The scenario of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
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
    /// Members move themselves among child cgroups without a pause.
    Hoppers,
    /// Each member forks its successor into another child cgroup and exits.
    Relay,
    /// Processes enter the cgroup during the wait, and most of them leave it alive.
    Visitors,
    /// The threads of each member are in several threaded cgroups.
    Threaded,
    /// The names of cgroups and processes are not UTF-8, or end in ` (deleted)`.
    Named,
    /// The second thread of each member executes the program again and again.
    Execs,
    /// Members of a container move to other cgroups and survive its init.
    Escape,
    /// A container is frozen while it is killed.
    Paused,
    /// There are more members than the waiting process may have descriptors.
    Limited,
    /// In a pid namespace, a new process gets the pid of a member.
    ReusedPids,
}

impl Shape {
    /// Its name on the command line and in the table.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |it| it.get_name().to_owned())
    }

    /// Whether members move among the cgroups of the target, so that a walk may miss them.
    pub(crate) const fn moves_inside(self) -> bool {
        matches!(self, Self::Hoppers | Self::Relay)
    }

    /// The process that runs the trials of this shape; `None` for the soak itself.
    pub(crate) const fn nest(self) -> Option<Nest> {
        match self {
            Self::Limited => Some(Nest::Limits),
            Self::ReusedPids => Some(Nest::Pids),
            _ => None,
        }
    }
}

/// A soak in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Nest {
    /// Its limit of descriptors changes.
    Limits,
    /// It is the first process of a pid namespace.
    Pids,
}

impl Nest {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Pids => "pids",
        }
    }
}

/// The target of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Cgroup,
    Process,
    Container,
}

/// A process that enters the cgroup during the wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) entry: Entry,
    pub(crate) leave: Leave,
    pub(crate) stay: Duration,
}

/// The way in which a visitor enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// It moves itself.
    ByItself,
    /// Another process moves it.
    Moved,
    /// It is cloned into the cgroup (`CLONE_INTO_CGROUP`); on v1 as `ByItself`.
    Cloned,
}

/// The way in which a visitor leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Leave {
    /// It moves itself, at once.
    ByItself,
    /// Another process moves it.
    Moved,
    /// It stays and is killed with the members.
    Stays,
    /// It exits at once.
    Exits,
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
    /// Moves itself among the child cgroups.
    Hops,
    /// Forks a successor, which moves to another child cgroup, and exits.
    Passes,
    /// Its second thread executes the program again, repeatedly.
    Execs,
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each fact is independent of the others"
)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) aim: Aim,
    pub(crate) until: Until,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) processes: usize,
    /// Number of threads of each process.
    pub(crate) threads: usize,
    /// Memory of all processes together.
    pub(crate) mebibytes: usize,
    /// Number of nested cgroups that the processes are spread over.
    pub(crate) depth: usize,
    /// Number of child cgroups among which members or their threads move.
    pub(crate) children: usize,
    /// Number of members that move to another cgroup and survive the kill.
    pub(crate) migrants: usize,
    pub(crate) visits: Vec<Visit>,
    /// Part of the names of cgroups and processes.
    pub(crate) name: &'static [u8],
    /// Whether the target of a threaded trial is a threaded child, and not the root.
    pub(crate) aims_at_child: bool,
    /// Which hierarchy of a container is frozen.
    pub(crate) frozen: usize,
    /// Number of free descriptors during the wait.
    pub(crate) free_descriptors: Option<u64>,
    pub(crate) sockets: usize,
    /// Whether several processes hold each socket.
    pub(crate) shares_sockets: bool,
    pub(crate) behaviour: Behaviour,
    pub(crate) death: Death,
    pub(crate) reaping: Reaping,
    /// Whether the wait begins after the kill.
    pub(crate) is_late: bool,
    /// Whether the wait looks without a pause, and not only when it is woken.
    pub(crate) is_eager: bool,
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
            migrants: self.migrants.min(10),
            free_descriptors: self.free_descriptors.map(|it| it.min(10)),
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
                Behaviour::Passes => Behaviour::Hops,
                behaviour => behaviour,
            },
            ..self
        }
    }

    /// Whether all members are dead at a right verdict.
    pub(crate) fn has_no_survivors(&self) -> bool {
        match self.aim {
            Aim::Process => self.processes == 1,
            _ => self.is_about_members() || self.migrants == 0,
        }
    }

    /// Whether the condition is about the members, and not only about the cgroup.
    pub(crate) const fn is_about_members(&self) -> bool {
        matches!(self.until, Until::Exited | Until::Reaped | Until::Stopped)
    }

    /// Whether a right verdict waits for the known members even if it is not exact: they were
    /// in the lists when the wait began.
    pub(crate) fn has_listed_members(&self) -> bool {
        let hides =
            self.shape.moves_inside() || matches!(self.shape, Shape::Threaded | Shape::Limited);
        !self.is_late && self.behaviour != Behaviour::Relays && !hides
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random_plan::SHAPES;

    fn plans(seed: u64) -> impl Iterator<Item = Plan> {
        (0..4000).map(move |index| Plan::of(seed, index, None))
    }

    #[test]
    fn a_trial_is_repeated_by_its_number() {
        let text = |index| format!("{:?}", Plan::of(7, index, None));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }

    #[test]
    fn every_shape_is_drawn_and_most_trials_are_small() {
        let shapes: BTreeSet<_> = plans(1).map(|plan| plan.shape).collect();
        let weighted = SHAPES.iter().filter(|(_, weight)| *weight > 0);
        assert_eq!(shapes, weighted.map(|(shape, _)| *shape).collect());
        let small = plans(1).filter(|plan| plan.processes <= 12).count();
        assert!(small > 3200, "{small}");
        assert!(plans(1).any(|plan| plan.processes > 200));
    }

    #[test]
    fn every_shape_is_in_the_table_and_can_be_drawn_alone() {
        for shape in Shape::value_variants() {
            assert_eq!(SHAPES.iter().filter(|(it, _)| it == shape).count(), 1);
            assert_eq!(Plan::of(3, 5, Some(*shape)).shape, *shape);
        }
    }

    #[test]
    fn no_plan_waits_for_reaping_that_never_happens() {
        for plan in plans(2) {
            assert!(plan.until != Until::Reaped || plan.reaping != Reaping::Never);
        }
    }
}
