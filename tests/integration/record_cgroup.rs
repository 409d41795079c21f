//! The cgroup of a record: the v2 cgroup, unless that is the root; then the most specific v1
//! cgroup.

use std::{fs, os::unix::fs::MetadataExt};

use probe_tests::{Cgroup, Probe, TracedCgroup, Victim, has_v1, scale};
use serde_json::{Value, json};

/// The number of a hierarchy, from `/proc/self/cgroup`.
fn hierarchy(controller: &str) -> u32 {
    let own = fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    let found = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (id, controllers) = (fields.next()?, fields.next()?);
        let is_it = controllers.split(',').any(|it| it == controller);
        is_it.then(|| id.parse().expect("a number"))
    });
    found.unwrap_or_else(|| panic!("no hierarchy of {controller}"))
}

/// The v1 hierarchies in order of preference. On an emulated machine they are those that its
/// kernel has.
fn in_order() -> Vec<&'static str> {
    let order = ["pids", "memory", "freezer", "name=systemd", "cpu"];
    let is_wanted = |it: &&str| !scale::is_emulated() || has_v1(it);
    let found: Vec<_> = order.into_iter().filter(is_wanted).collect();
    // Newer kernels may lack the memory controller in v1.
    assert!(found.len() > 3, "too few to be in an order: {found:?}");
    found
}

/// The exit record of a process in these cgroups, and in the root of all other hierarchies.
fn exit_in(cgroups: &[&Cgroup]) -> Value {
    let mut victim = Victim::spawn(&["exit", "0"], None);
    Cgroup::leave_all(victim.pid());
    for cgroup in cgroups {
        cgroup.add(victim.pid());
    }
    let mut probe = Probe::trace(&["--pid", &victim.pid().to_string()]);
    victim.release();
    let exit = probe.exit_of(victim.pid());
    assert_eq!(victim.wait(), 0);
    exit
}

fn place(hierarchy: u32, cgroup: &Cgroup) -> Value {
    json!({"hierarchy": hierarchy, "id": cgroup.id(), "path": cgroup.name()})
}

#[test]
#[ignore = "needs root"]
fn the_v2_cgroup_is_reported() {
    let top = Cgroup::v2("top");
    let below = top.sub("below");
    assert_eq!(exit_in(&[&top])["cgroup"], place(0, &top));
    let exit = exit_in(&[&below]);
    assert_eq!(exit["cgroup"], place(0, &below));
    assert!(below.name().ends_with("-top/below"));
}

#[test]
#[ignore = "needs root"]
fn the_v1_cgroup_is_reported_if_v2_is_the_root() {
    for controller in in_order() {
        let cgroup = Cgroup::v1(controller, "alone");
        let exit = exit_in(&[&cgroup]);
        let expected = place(hierarchy(controller), &cgroup);
        assert_eq!(exit["cgroup"], expected, "{controller}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_first_v1_hierarchy_in_the_order_is_reported() {
    let cgroups: Vec<_> = in_order()
        .into_iter()
        .map(|controller| Cgroup::v1(controller, "several"))
        .collect();
    for (index, controller) in in_order().into_iter().enumerate() {
        let exit = exit_in(&cgroups.iter().skip(index).collect::<Vec<_>>());
        let expected = place(hierarchy(controller), &cgroups[index]);
        assert_eq!(exit["cgroup"], expected, "from {controller} on");
    }
}

#[test]
#[ignore = "needs root"]
fn the_v2_cgroup_is_reported_before_v1_cgroups() {
    let v2 = Cgroup::v2("hybrid");
    let pids = Cgroup::v1("pids", "hybrid");
    let freezer = Cgroup::v1("freezer", "hybrid");
    let exit = exit_in(&[&v2, &pids, &freezer]);
    assert_eq!(exit["cgroup"], place(0, &v2));
}

#[test]
#[ignore = "needs root"]
fn a_process_in_root_cgroups_is_reported_in_the_v2_root() {
    let exit = exit_in(&[]);
    let anywhere = Cgroup::v2("root");
    let root = anywhere.file("..").canonicalize().expect("the mount");
    let id = fs::metadata(root).expect("the mount").ino();
    let expected = json!({"hierarchy": 0, "id": id, "path": "/"});
    assert_eq!(exit["cgroup"], expected);
}

#[test]
#[ignore = "needs root"]
fn the_path_of_a_cgroup_made_during_the_trace_is_reported() {
    let mut traced = TracedCgroup::new("later");
    let below = traced.cgroup.sub("a b");
    let mut victim = Victim::start(&["exit", "0"], Some(&below));
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["cgroup"], place(0, &below));
}

#[test]
#[ignore = "needs root"]
fn the_path_of_a_removed_cgroup_is_reported() {
    let mut traced = TracedCgroup::new("removed");
    for _ in 0..20 {
        let below = traced.cgroup.sub("short");
        let expected = place(0, &below);
        let mut victim = Victim::start(&["exit", "0"], Some(&below));
        victim.wait();
        below.wait_empty();
        drop(below);
        let exit = traced.probe.exit_of(victim.pid());
        assert_eq!(exit["cgroup"], expected);
    }
}

#[test]
#[ignore = "needs root"]
fn a_moved_process_is_reported_in_its_last_cgroup() {
    let from = Cgroup::v2("from");
    let to = Cgroup::v2("to");
    let mut victim = Victim::spawn(&["threads", "3", "exit", "0"], Some(&from));
    let mut probe = Probe::trace(&["--pid", &victim.pid().to_string()]);
    to.add(victim.pid());
    victim.release();
    let exit = probe.exit_of(victim.pid());
    assert_eq!(exit["cgroup"], place(0, &to));
    assert_eq!(victim.wait(), 0);
}
