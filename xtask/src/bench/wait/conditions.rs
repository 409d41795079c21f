//! The table of conditions: the programs that are compared, and their limits.

use super::{programs::Kind, runner::Sample};

/// The events around the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    Rested,
    /// The cgroup is frozen before the kill and thawed after it.
    Frozen,
    /// The cgroup was populated 3 ms before the kill.
    Repopulated,
    /// Populated 3 ms before the kill, and removed at once by the parent of the processes.
    Removed,
    /// A v1 cgroup at rest, with the same processes.
    V1,
}

/// The watchers that are compared, and the load and kind of kill under which they are.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) name: String,
    pub(super) processes: usize,
    /// Every CPU has a process that spins.
    pub(super) is_busy: bool,
    /// The watchers wait until the process is reaped, and not until the cgroup is empty.
    pub(super) until_reaped: bool,
    /// The first one is compared with the others.
    pub(super) watchers: Vec<Watcher>,
    pub(super) limits: Vec<Limit>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Watcher {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) scene: Scene,
}

/// A percentile of a time of the first watcher, and its bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) of: fn(&Sample) -> Option<f64>,
    pub(super) percent: usize,
    pub(super) bound: Bound,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// The ratio to the watcher with this index.
    Ratio(f64, usize),
    Microseconds(f64),
}

/// A limit on the time from the kill to the verdict.
fn verdict(percent: usize, most: f64, peer: usize) -> Limit {
    Limit {
        name: "kill to verdict",
        of: Sample::verdict_us,
        percent,
        bound: Bound::Ratio(most, peer),
    }
}

/// A limit on the time from the kernel's own moment to the verdict.
fn after_empty(percent: usize, bound: Bound) -> Limit {
    Limit {
        name: "empty to verdict",
        of: Sample::after_empty_us,
        percent,
        bound,
    }
}

/// A condition with the defaults: one process is killed on an idle machine, and the watchers
/// wait until its cgroup is empty.
fn condition(name: &str, watchers: Vec<Watcher>, limits: Vec<Limit>) -> Condition {
    Condition {
        name: name.to_owned(),
        processes: 1,
        is_busy: false,
        until_reaped: false,
        watchers,
        limits,
    }
}

const fn watcher(name: &'static str, kind: Kind, scene: Scene) -> Watcher {
    Watcher { name, kind, scene }
}

pub(super) const fn probe(scene: Scene) -> Watcher {
    watcher("probe", Kind::Library("bpf"), scene)
}

/// poll(2) with a limit that nothing under these conditions reaches.
const fn poll(scene: Scene) -> Watcher {
    watcher("bare poll", Kind::Poll(10_000), scene)
}

/// The conditions of `cargo xtask bench wait`.
pub(super) fn of_wait() -> Vec<Condition> {
    let mut conditions = Vec::new();
    for is_busy in [false, true] {
        for processes in [1, 10, 100] {
            let name = format!("{processes} {}", if is_busy { "busy" } else { "idle" });
            let limits = vec![
                verdict(50, 1.10, 1),
                verdict(95, 1.5, 1),
                after_empty(50, Bound::Ratio(1.3, 1)),
                after_empty(95, Bound::Ratio(1.5, 1)),
            ];
            let pair = vec![probe(Scene::Rested), poll(Scene::Rested)];
            conditions.push(Condition {
                processes,
                is_busy,
                ..condition(&name, pair, limits)
            });
        }
    }
    let delayed = |name, scene| {
        let pair = vec![probe(scene), poll(scene)];
        condition(name, pair, vec![verdict(50, 0.066, 1)])
    };
    conditions.push(delayed("frozen, killed, thawed", Scene::Frozen));
    conditions.push(delayed("populated 3 ms before", Scene::Repopulated));
    let removed = vec![
        probe(Scene::Removed),
        watcher("probe, undisturbed", Kind::Library("bpf"), Scene::Rested),
        // A delayed notification is at most 16 ms late: after 60 ms it never comes.
        watcher("bare poll", Kind::Poll(60), Scene::Removed),
    ];
    conditions.push(condition(
        "removed meanwhile",
        removed,
        vec![verdict(95, 1.5, 1)],
    ));
    let reaped = vec![
        probe(Scene::Rested),
        watcher("kill -0, 10 ms", Kind::KillZero(10), Scene::Rested),
        watcher("kill -0, 100 ms", Kind::KillZero(100), Scene::Rested),
    ];
    let limits = vec![verdict(50, 0.1, 1), verdict(50, 0.01, 2)];
    conditions.push(Condition {
        until_reaped: true,
        ..condition("reaped", reaped, limits)
    });
    conditions
}

/// The conditions of `cargo xtask bench daemon`: a client that also watches the cgroup
/// itself, and one that only asks the daemon.
pub(super) fn of_daemon() -> Vec<Condition> {
    let client = |mode, scene| watcher("client", Kind::Client(mode), scene);
    let alone = |name, mode, scene| {
        let limits = vec![
            after_empty(50, Bound::Microseconds(400.0)),
            after_empty(95, Bound::Microseconds(1000.0)),
        ];
        condition(name, vec![client(mode, scene)], limits)
    };
    let normal = vec![
        client("daemon", Scene::Rested),
        watcher("without a daemon", Kind::Library("pidfd"), Scene::Rested),
    ];
    vec![
        alone("daemon only, at rest", "daemon-only", Scene::Rested),
        alone(
            "daemon only, frozen, killed, thawed",
            "daemon-only",
            Scene::Frozen,
        ),
        alone(
            "daemon only, populated 3 ms before",
            "daemon-only",
            Scene::Repopulated,
        ),
        alone("frozen, killed, thawed", "daemon", Scene::Frozen),
        alone("populated 3 ms before", "daemon", Scene::Repopulated),
        alone("v1", "daemon", Scene::V1),
        condition(
            "normal",
            normal,
            vec![verdict(50, 1.10, 1), verdict(95, 1.5, 1)],
        ),
    ]
}

/// The conditions of `cargo xtask bench before`.
pub(super) fn of_before() -> Vec<Condition> {
    let before = watcher("before", Kind::OldLibrary, Scene::Rested);
    let of = |processes| {
        let limits = vec![verdict(50, 1.0, 1), verdict(95, 1.0, 1)];
        let name = format!("{processes} idle");
        Condition {
            processes,
            ..condition(&name, vec![probe(Scene::Rested), before], limits)
        }
    };
    [1, 10, 100].map(of).into()
}
