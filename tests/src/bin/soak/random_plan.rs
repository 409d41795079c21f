//! Random plans: the probability of each kind of trial.

use std::time::Duration;

use fastrand::Rng;
use probe_user::model::Until;

use super::plan::{Behaviour, Check, Death, Hierarchy, Plan, Reaping, Shape};

impl Plan {
    pub(crate) fn of(seed: u64, index: u64) -> Self {
        // The factor makes the plans of neighbouring trials independent.
        let mut rng =
            Rng::with_seed(seed ^ index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rng = &mut rng;
        let shape = shape(rng);
        let processes = processes(rng, shape);
        let behaviour = behaviour(rng, shape, processes);
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
            behaviour,
            death: death(rng, shape, behaviour),
            reaping: match reaping {
                Reaping::Never if until == Until::Reaped => Reaping::Late(Duration::from_millis(5)),
                reaping => reaping,
            },
            is_late: may_be_late && rng.u8(..5) == 0,
            cpu_hogs: if rng.u8(..25) == 0 { 2 } else { 0 },
            delay: Duration::from_micros(if rng.bool() { 0 } else { rng.u64(..3000) }),
            first: Check::ALL[rng.usize(..Check::ALL.len())],
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

/// Most trials are small: a large one takes as long as a hundred small ones.
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

fn behaviour(rng: &mut Rng, shape: Shape, processes: usize) -> Behaviour {
    if matches!(shape, Shape::Migration | Shape::Process) || processes > 20 {
        return Behaviour::Still;
    }
    // Relays may end before the actor freezes or adds a cgroup.
    let may_relay = !matches!(shape, Shape::Frozen | Shape::Grown);
    match rng.u8(..100) {
        80..88 => Behaviour::Forks,
        88..94 if may_relay => Behaviour::Relays,
        94.. => Behaviour::Leaderless,
        _ => Behaviour::Still,
    }
}

fn death(rng: &mut Rng, shape: Shape, behaviour: Behaviour) -> Death {
    match rng.u8(..10) {
        0..6 => Death::Together,
        6..9 => Death::OneByOne,
        _ if behaviour == Behaviour::Still && shape != Shape::Migration => Death::Leave,
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
