//! A thousand waits in one process, and their cost.

use std::collections::BTreeSet;

use probe_tests::{Cgroup, Victim, raise_descriptor_limit, random, record, scale};
use serde_json::Value;

/// How many waits one process has.
fn many() -> usize {
    scale::emulated_or(200, 1000)
}

/// Limits for each wait.
const DESCRIPTORS: u64 = 3;
const BYTES: u64 = 8 * 1024;

/// One process in each of a thousand cgroups, and a program that waits for them.
struct Thousand {
    // Dropped in this order.
    waits: Victim,
    crowd: Victim,
    cgroups: Vec<Cgroup>,
    _parent: Cgroup,
}

impl Thousand {
    fn start() -> Self {
        let parent = Cgroup::v2("thousand");
        let processes = many().to_string();
        let (crowd, pid) = Victim::crowd(&[&processes, "1", "0"], &parent);
        assert_eq!(pid, crowd.pid());
        let pids = parent.procs();
        assert_eq!(pids.len(), many());
        let place = |(index, &pid): (usize, &u32)| {
            let cgroup = parent.sub(&index.to_string());
            cgroup.add(pid);
            cgroup
        };
        let cgroups: Vec<_> = pids.iter().enumerate().map(place).collect();
        let paths: Vec<_> = cgroups.iter().map(Cgroup::path).collect();
        Self {
            waits: waits(&paths),
            crowd,
            cgroups,
            _parent: parent,
        }
    }

    /// The indexes of the next verdicts, in any order.
    fn done(&self, count: usize) -> BTreeSet<usize> {
        let reports = (0..count).map(|_| self.waits.report());
        reports.map(|report| done(&report)).collect()
    }
}

/// The program `waits`, not released yet, with the limit of descriptors that it needs.
fn waits(paths: &[&str]) -> Victim {
    raise_descriptor_limit();
    Victim::spawn_as("waits", paths, None)
}

fn done(report: &Value) -> usize {
    let events = report["events"].as_str().expect("cgroup.events");
    assert!(events.contains("populated 0"), "{report}");
    usize::try_from(record::number(report, "index")).expect("an index")
}

#[test]
#[ignore = "needs root"]
fn a_thousand_waits_for_a_thousand_cgroups_are_right_and_cheap() {
    let mut thousand = Thousand::start();
    thousand.waits.release();
    let cost = thousand.waits.report();
    let waits = many() as u64;
    for (resource, limit) in [("descriptors", DESCRIPTORS), ("bytes", BYTES)] {
        let used = record::number(&cost, resource);
        assert!(used <= limit * waits, "{resource} in {cost}");
    }

    let mut order: Vec<_> = (0..many()).collect();
    random::seeded().shuffle(&mut order);
    // A verdict about a cgroup that was not killed would be among these.
    for killed in order.chunks(many() / 4) {
        for &index in killed {
            thousand.cgroups[index].kill();
        }
        let expected: BTreeSet<_> = killed.iter().copied().collect();
        assert_eq!(thousand.done(killed.len()), expected);
    }
    assert_eq!(thousand.waits.wait(), 0);
    thousand.crowd.wait();
}

#[test]
#[ignore = "needs root"]
fn a_thousand_waits_for_one_cgroup_share_its_descriptors() {
    let (cgroup, mut victim) = Victim::in_v2("shared");
    let mut waits = waits(&vec![cgroup.path(); many()]);
    waits.release();
    let cost = waits.report();
    let descriptors = record::number(&cost, "descriptors");
    assert!(descriptors <= DESCRIPTORS, "{cost}");
    cgroup.kill();
    let all = (0..many()).map(|_| done(&waits.report()));
    assert_eq!(all.collect::<BTreeSet<_>>().len(), many());
    assert_eq!(waits.wait(), 0);
    victim.wait();
}
