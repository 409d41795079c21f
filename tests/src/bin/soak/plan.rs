//! What a trial is: drawn from the seed and its number alone, so that it can be
//! had again, by itself and with another backend.

use std::time::Duration;

use probe_user::model::Until;

/// What happens around the death that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// Nothing.
    Plain,
    /// Frozen, killed, thawed: `cgroup.events` tells late.
    Frozen,
    /// Empty and populated again just before: likewise.
    Repopulated,
    /// Somebody else removes it at once: what `cgroup.events` had to tell is
    /// cancelled.
    Removed,
    /// Some members move out and live on.
    Migration,
    /// A cgroup is made below it during the wait, and a member moves there.
    Grown,
    /// Several wait; one gives up, one comes after the kill.
    Shared,
    /// One process is waited for.
    Process,
    /// A cgroup in each hierarchy and an init process.
    Container,
}

/// Where the cgroups are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    V1,
    V2,
    Both,
}

/// What a member does until it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Still,
    Forks,
    Relays,
    Leaderless,
}

impl Behaviour {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Forks => "forks",
            Self::Relays => "relays",
            Self::Leaderless => "leaderless",
        }
    }
}

/// How members end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// By `cgroup.kill`, where there is one.
    Together,
    /// By a signal to each that is listed.
    OneByOne,
    /// By themselves.
    Leave,
}

/// When the parent reaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaping {
    AtOnce,
    /// This long after all are dead.
    Late(Duration),
    /// When the trial is over.
    Never,
}

/// What the kernel is asked first after a verdict.
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

/// One trial.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) until: Until,
    pub(crate) hierarchy: Hierarchy,
    pub(crate) processes: usize,
    /// Of each process.
    pub(crate) threads: usize,
    /// Of all together.
    pub(crate) mebibytes: usize,
    /// Cgroups that they are spread over, each below the one before.
    pub(crate) depth: usize,
    pub(crate) sockets: usize,
    /// Whether many hold each socket.
    pub(crate) shares_sockets: bool,
    pub(crate) behaviour: Behaviour,
    pub(crate) death: Death,
    pub(crate) reaping: Reaping,
    /// The wait begins after the kill.
    pub(crate) is_late: bool,
    /// Processes beside it that only burn CPU.
    pub(crate) cpu_hogs: usize,
    /// From the moment when all is ready to the kill.
    pub(crate) delay: Duration,
    pub(crate) first: Check,
}

impl Plan {
    /// The same for a machine that is emulated: what is large there only takes
    /// long.
    pub(crate) fn small(self) -> Self {
        Self {
            processes: self.processes.min(20),
            threads: self.threads.min(8),
            mebibytes: self.mebibytes.min(16),
            ..self
        }
    }

    /// The same without anybody who forks while he is killed. User Mode Linux 6.12
    /// panics then: `dup_mmap` gives up and leaves an `XA_ZERO_ENTRY` among the
    /// areas, which its `flush_tlb_mm` takes for one.
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

    /// Whether no member outlives the verdict.
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
