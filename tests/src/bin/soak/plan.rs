//! What a trial is: drawn from the seed and its number alone, so that it can be
//! had again, by itself and with another backend.

use std::time::Duration;

use fastrand::Rng;
use probe_user::waiter::Until;

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
pub(crate) enum Conduct {
    Still,
    Forks,
    Relays,
    Leaderless,
}

impl Conduct {
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
pub(crate) enum Question {
    Populated,
    Procs,
    Ports,
    Rmdir,
    Lives,
}

impl Question {
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
    pub(crate) conduct: Conduct,
    pub(crate) death: Death,
    pub(crate) reaping: Reaping,
    /// The wait begins after the kill.
    pub(crate) is_late: bool,
    /// Processes beside it that only burn CPU.
    pub(crate) hogs: usize,
    /// From the moment when all is ready to the kill.
    pub(crate) delay: Duration,
    pub(crate) first: Question,
}

impl Plan {
    pub(crate) fn of(seed: u64, index: u64) -> Self {
        // Neighbours must have nothing in common.
        let mut rng =
            Rng::with_seed(seed ^ index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rng = &mut rng;
        let shape = shape(rng);
        let processes = processes(rng, shape);
        let conduct = conduct(rng, shape, processes);
        let reaping = reaping(rng);
        let until = until(rng, shape);
        let hierarchy = hierarchy(rng, shape);
        let depth = if rng.u8(..3) == 0 {
            rng.usize(2..=5)
        } else {
            1
        };
        let may_be_late = matches!(shape, Shape::Plain | Shape::Frozen | Shape::Repopulated);
        Self {
            shape,
            until,
            hierarchy,
            processes,
            threads: threads(rng, processes),
            mebibytes: mebibytes(rng),
            depth: depth.min(processes),
            sockets: if rng.u8(..3) == 0 {
                rng.usize(1..=4)
            } else {
                0
            },
            shares_sockets: rng.bool(),
            conduct,
            death: death(rng, shape, conduct),
            reaping: match reaping {
                Reaping::Never if until == Until::Reaped => Reaping::Late(Duration::from_millis(5)),
                reaping => reaping,
            },
            is_late: may_be_late && rng.u8(..5) == 0,
            hogs: if rng.u8(..25) == 0 { 2 } else { 0 },
            delay: Duration::from_micros(if rng.bool() { 0 } else { rng.u64(..3000) }),
            first: Question::ALL[rng.usize(..Question::ALL.len())],
        }
    }

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
    pub(crate) fn childless(self) -> Self {
        Self {
            conduct: match self.conduct {
                Conduct::Forks | Conduct::Relays => Conduct::Still,
                conduct => conduct,
            },
            ..self
        }
    }

    /// Whether no member outlives the verdict.
    pub(crate) fn all_die(&self) -> bool {
        match self.shape {
            Shape::Process => self.processes == 1,
            Shape::Migration => self.until != Until::Empty,
            _ => true,
        }
    }
}

fn shape(rng: &mut Rng) -> Shape {
    match rng.u8(..100) {
        0..30 => Shape::Plain,
        30..40 => Shape::Frozen,
        40..50 => Shape::Repopulated,
        50..62 => Shape::Removed,
        62..68 => Shape::Migration,
        68..74 => Shape::Grown,
        74..82 => Shape::Shared,
        82..92 => Shape::Process,
        _ => Shape::Container,
    }
}

/// Most are small: a large one takes as long as a hundred of them.
fn processes(rng: &mut Rng, shape: Shape) -> usize {
    if shape == Shape::Process {
        return rng.usize(1..=3);
    }
    match rng.u16(..1000) {
        0..650 => rng.usize(1..=3),
        650..920 => rng.usize(4..=12),
        920..985 => rng.usize(13..=50),
        985..997 => rng.usize(51..=200),
        _ => rng.usize(201..=500),
    }
}

fn hierarchy(rng: &mut Rng, shape: Shape) -> Hierarchy {
    match shape {
        Shape::Container => Hierarchy::Both,
        Shape::Frozen => Hierarchy::V2,
        _ if rng.u8(..4) == 0 => Hierarchy::V1,
        _ => Hierarchy::V2,
    }
}

fn threads(rng: &mut Rng, processes: usize) -> usize {
    let threads = match rng.u8(..100) {
        0..70 => 1,
        70..95 => rng.usize(2..=8),
        _ => rng.usize(9..=40),
    };
    threads.min(600 / processes).max(1)
}

fn mebibytes(rng: &mut Rng) -> usize {
    match rng.u16(..1000) {
        0..880 => 0,
        880..980 => rng.usize(1..=8),
        980..996 => rng.usize(9..=64),
        _ => rng.usize(65..=256),
    }
}

fn conduct(rng: &mut Rng, shape: Shape, processes: usize) -> Conduct {
    if matches!(shape, Shape::Migration | Shape::Process) || processes > 20 {
        return Conduct::Still;
    }
    // Relays may be over before the hand comes to freeze or to add.
    let may_relay = !matches!(shape, Shape::Frozen | Shape::Grown);
    match rng.u8(..100) {
        80..88 => Conduct::Forks,
        88..94 if may_relay => Conduct::Relays,
        94.. => Conduct::Leaderless,
        _ => Conduct::Still,
    }
}

fn death(rng: &mut Rng, shape: Shape, conduct: Conduct) -> Death {
    match rng.u8(..10) {
        0..6 => Death::Together,
        6..9 => Death::OneByOne,
        _ if conduct == Conduct::Still && shape != Shape::Migration => Death::Leave,
        _ => Death::Together,
    }
}

fn reaping(rng: &mut Rng) -> Reaping {
    match rng.u8(..3) {
        0 => Reaping::AtOnce,
        1 => Reaping::Late(Duration::from_micros(rng.u64(..10_000))),
        _ => Reaping::Never,
    }
}

fn until(rng: &mut Rng, shape: Shape) -> Until {
    let special = match shape {
        Shape::Container => Some(Until::Stopped),
        Shape::Removed => Some(Until::Removed),
        _ => None,
    };
    if let Some(until) = special
        && rng.u8(..10) < 6
    {
        return until;
    }
    match rng.u8(..10) {
        0..5 if shape != Shape::Process => Until::Empty,
        0..8 if rng.bool() => Until::Exited,
        _ => Until::Reaped,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_trial_is_had_again_by_its_number() {
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
    fn nobody_waits_for_the_reaping_of_what_is_never_reaped() {
        for plan in (0..2000).map(|index| Plan::of(2, index)) {
            assert!(plan.until != Until::Reaped || plan.reaping != Reaping::Never);
        }
    }
}
