//! Random plans: the probability of each kind of trial.

use std::time::Duration;

use fastrand::Rng;
use probe_user::model::Until;

use super::plan::{
    Aim, Behaviour, Check, Death, Entry, Hierarchy, Leave, Plan, Reaping, Shape, Visit,
};

/// The shapes and how often each is drawn. A shape with the weight 0 is drawn by `--shape` alone:
/// it finds wrong verdicts of issue 20. Without them the weights are 40, 30, 20 and 15.
pub(crate) const SHAPES: [(Shape, u32); 19] = [
    (Shape::Plain, 220),
    (Shape::Frozen, 80),
    (Shape::Repopulated, 80),
    (Shape::Removed, 100),
    (Shape::Migration, 50),
    (Shape::Grown, 50),
    (Shape::Shared, 60),
    (Shape::Process, 80),
    (Shape::Container, 70),
    (Shape::Hoppers, 40),
    (Shape::Relay, 30),
    (Shape::Visitors, 60),
    (Shape::Threaded, 40),
    (Shape::Named, 30),
    (Shape::Execs, 20),
    (Shape::Escape, 30),
    (Shape::Paused, 20),
    (Shape::Limited, 4),
    (Shape::ReusedPids, 15),
];

/// Parts of names that a reader of text may take for something else: no UTF-8, a letter cut by
/// the limit of 15 bytes, the mark of a removed cgroup, the fields of `/proc/PID/stat`.
const NAMES: [&[u8]; 4] = [
    b"\xff\xfe",
    b"\xd0\xbd\xd0\xb0\xd0\xbf\xd0\xbe\xd0\xbc\xd0\xb8\xd0\xbd\xd0",
    b"x (deleted)",
    b") Z 1 (deleted)",
];

/// Limit of processes that enter a cgroup in one trial.
const MAX_VISITS: usize = 4;

impl Plan {
    /// The plan of a trial, with a drawn shape or with this one.
    pub(crate) fn of(seed: u64, index: u64, shape: Option<Shape>) -> Self {
        // The factor makes the plans of neighbouring trials independent.
        let mut rng =
            Rng::with_seed(seed ^ index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rng = &mut rng;
        let drawn = draw_shape(rng);
        let shape = shape.unwrap_or(drawn);
        let processes = processes(rng, shape);
        let aim = aim(rng, shape);
        let behaviour = behaviour(rng, shape, processes);
        let reaping = reaping(rng, shape);
        let until = until(rng, shape, aim);
        let hierarchy = hierarchy(rng, shape);
        let depth = if rng.u8(..3) == 0 && may_be_deep(shape) {
            rng.usize(2..=5)
        } else {
            1
        };
        let migrants = migrants(rng, shape, processes);
        let may_be_late = match shape {
            Shape::Plain | Shape::Frozen | Shape::Repopulated => true,
            Shape::Named => migrants == 0,
            _ => false,
        };
        let visits = match shape {
            Shape::Visitors => rng.usize(1..=MAX_VISITS),
            _ => 0,
        };
        Self {
            shape,
            aim,
            until,
            hierarchy,
            processes,
            threads: threads(rng, shape, processes),
            mebibytes: mebibytes(rng, shape),
            depth: depth.min(processes),
            children: match shape {
                Shape::Hoppers | Shape::Relay => [2, 4, 8, 20][rng.usize(..4)],
                Shape::Threaded => 2,
                _ => 0,
            },
            migrants,
            visits: (0..visits).map(|_| visit(rng)).collect(),
            name: match shape {
                Shape::Named => NAMES[rng.usize(..NAMES.len())],
                _ => b"",
            },
            aims_at_child: shape == Shape::Threaded && rng.bool(),
            frozen: rng.usize(..2),
            free_descriptors: (shape == Shape::Limited).then(|| rng.u64(8..40)),
            sockets: if rng.u8(..3) == 0 && may_have_sockets(shape) {
                rng.usize(1..=4)
            } else {
                0
            },
            shares_sockets: rng.bool(),
            behaviour,
            death: death(rng, shape, behaviour, migrants),
            reaping: match reaping {
                Reaping::Never if until == Until::Reaped => Reaping::Late(Duration::from_millis(5)),
                reaping => reaping,
            },
            is_late: may_be_late && rng.u8(..if shape == Shape::Named { 2 } else { 5 }) == 0,
            is_eager: matches!(shape, Shape::Hoppers | Shape::Relay | Shape::Execs) && rng.bool(),
            cpu_hogs: if rng.u8(..25) == 0 { 2 } else { 0 },
            delay: delay(rng, shape),
            first: Check::ALL[rng.usize(..Check::ALL.len())],
        }
    }
}

fn draw_shape(rng: &mut Rng) -> Shape {
    let sum: u32 = SHAPES.iter().map(|(_, weight)| weight).sum();
    let mut drawn = rng.u32(..sum);
    for (shape, weight) in SHAPES {
        if drawn < weight {
            return shape;
        }
        drawn -= weight;
    }
    Shape::Plain
}

/// Most trials are small: a large one takes as long as a hundred small ones.
fn processes(rng: &mut Rng, shape: Shape) -> usize {
    match shape {
        Shape::Process | Shape::Threaded => return rng.usize(1..=3),
        // A walk misses one process more easily than several.
        Shape::Hoppers => return rng.usize(1..=4).saturating_sub(2).max(1),
        Shape::Execs => return rng.usize(1..=2),
        Shape::Relay => return 1,
        Shape::Limited => return rng.usize(80..=200),
        Shape::Escape | Shape::Paused | Shape::Visitors | Shape::ReusedPids => {
            return rng.usize(2..=6);
        }
        _ => {}
    }
    match rng.u16(..1000) {
        0..650 => rng.usize(1..=3),
        650..920 => rng.usize(4..=12),
        920..985 => rng.usize(13..=50),
        985..997 => rng.usize(51..=200),
        _ => rng.usize(201..=500),
    }
}

fn aim(rng: &mut Rng, shape: Shape) -> Aim {
    match shape {
        Shape::Process => Aim::Process,
        Shape::Container | Shape::Escape | Shape::Paused => Aim::Container,
        Shape::Execs | Shape::ReusedPids if rng.bool() => Aim::Process,
        _ => Aim::Cgroup,
    }
}

fn hierarchy(rng: &mut Rng, shape: Shape) -> Hierarchy {
    let drawn = rng.u8(..4);
    match shape {
        Shape::Container => Hierarchy::Both,
        Shape::Frozen | Shape::Threaded => Hierarchy::V2,
        Shape::Escape | Shape::Paused | Shape::Visitors if drawn == 1 => Hierarchy::Both,
        Shape::Hoppers | Shape::Relay if drawn == 1 => Hierarchy::V1,
        _ if drawn == 0 => Hierarchy::V1,
        _ => Hierarchy::V2,
    }
}

/// Members that move need a while until a walk misses them.
fn delay(rng: &mut Rng, shape: Shape) -> Duration {
    let longest = match shape {
        Shape::Hoppers | Shape::Relay | Shape::Execs => 10_000,
        _ => 3000,
    };
    Duration::from_micros(if rng.bool() { 0 } else { rng.u64(..longest) })
}

/// Whether the members are spread over nested cgroups.
const fn may_be_deep(shape: Shape) -> bool {
    !matches!(
        shape,
        Shape::Hoppers | Shape::Relay | Shape::Threaded | Shape::ReusedPids
    )
}

/// Sockets belong to members that do not move, execute a program or leave.
const fn may_have_sockets(shape: Shape) -> bool {
    may_be_deep(shape) && !matches!(shape, Shape::Execs | Shape::Limited)
}

fn threads(rng: &mut Rng, shape: Shape, processes: usize) -> usize {
    let threads = match rng.u8(..100) {
        _ if matches!(shape, Shape::Relay | Shape::Execs | Shape::Limited) => 1,
        0..70 if shape != Shape::Threaded => 1,
        0..95 => rng.usize(2..=8),
        _ => rng.usize(9..=40),
    };
    threads.min(600 / processes).max(1)
}

fn mebibytes(rng: &mut Rng, shape: Shape) -> usize {
    match rng.u16(..1000) {
        _ if shape == Shape::Relay || shape == Shape::Limited => 0,
        0..880 => 0,
        880..980 => rng.usize(1..=8),
        980..996 => rng.usize(9..=64),
        _ => rng.usize(65..=256),
    }
}

fn behaviour(rng: &mut Rng, shape: Shape, processes: usize) -> Behaviour {
    match shape {
        Shape::Hoppers => return Behaviour::Hops,
        Shape::Relay => return Behaviour::Passes,
        Shape::Execs => return Behaviour::Execs,
        Shape::Migration
        | Shape::Process
        | Shape::Threaded
        | Shape::Named
        | Shape::Escape
        | Shape::Visitors
        | Shape::ReusedPids => return Behaviour::Still,
        _ if processes > 20 => return Behaviour::Still,
        _ => {}
    }
    // Relays may end before the actor freezes or adds a cgroup.
    let may_relay = !matches!(shape, Shape::Frozen | Shape::Grown | Shape::Paused);
    match rng.u8(..100) {
        80..88 => Behaviour::Forks,
        88..94 if may_relay => Behaviour::Relays,
        94.. => Behaviour::Leaderless,
        _ => Behaviour::Still,
    }
}

/// At least one member of a container or of a crowd stays.
fn migrants(rng: &mut Rng, shape: Shape, processes: usize) -> usize {
    match shape {
        Shape::Migration => 3,
        Shape::Escape => rng.usize(1..processes),
        Shape::Limited => rng.usize(1..=20),
        Shape::Named | Shape::Threaded if rng.bool() => 1,
        _ => 0,
    }
}

fn visit(rng: &mut Rng) -> Visit {
    let entry = [Entry::ByItself, Entry::Moved, Entry::Cloned][rng.usize(..3)];
    Visit {
        entry,
        leave: match rng.u8(..6) {
            0 => Leave::Stays,
            1..3 => Leave::Moved,
            // It would not be a member if it left before it is moved.
            _ if entry == Entry::Moved => Leave::Moved,
            3..5 => Leave::ByItself,
            _ => Leave::Exits,
        },
        stay: Duration::from_micros(if rng.bool() { 0 } else { rng.u64(..1000) }),
    }
}

fn death(rng: &mut Rng, shape: Shape, behaviour: Behaviour, migrants: usize) -> Death {
    let may_leave = !matches!(behaviour, Behaviour::Forks | Behaviour::Relays)
        && migrants == 0
        && !matches!(shape, Shape::Visitors | Shape::ReusedPids | Shape::Paused);
    match rng.u8(..10) {
        0..6 => Death::Together,
        6..9 => Death::OneByOne,
        _ if may_leave && behaviour != Behaviour::Leaderless => Death::Leave,
        _ => Death::Together,
    }
}

fn reaping(rng: &mut Rng, shape: Shape) -> Reaping {
    match rng.u8(..3) {
        _ if shape == Shape::ReusedPids => Reaping::AtOnce,
        0 => Reaping::AtOnce,
        1 => Reaping::Late(Duration::from_micros(rng.u64(..10_000))),
        _ => Reaping::Never,
    }
}

fn until(rng: &mut Rng, shape: Shape, aim: Aim) -> Until {
    let special = match aim {
        Aim::Container => Some(Until::Stopped),
        _ if shape == Shape::Removed => Some(Until::Removed),
        _ => None,
    };
    if let Some(until) = special
        && rng.u8(..10) < 6
    {
        return until;
    }
    match rng.u8(..10) {
        0..5 if aim == Aim::Process => Until::Exited,
        _ if aim == Aim::Process => Until::Reaped,
        0..4 => Until::Empty,
        4 => Until::Removed,
        5..8 => Until::Exited,
        _ => Until::Reaped,
    }
}
