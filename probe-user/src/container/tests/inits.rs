//! Finding the init process of a container that no state records.

use serde_json::json;

use super::machine::{A, Machine};
use crate::container::Init;

/// The pid of the init process that is found for a container.
fn init(machine: &Machine, wanted: &str, cgroups: &[(u32, String)]) -> Option<u32> {
    let found = machine.resolver().find(wanted, cgroups);
    let inits = found.expect("one container").inits;
    let &Init { pid, start_ticks } = inits.first()?;
    assert_eq!(start_ticks, 77);
    Some(pid)
}

#[test]
fn the_init_is_pid_1_of_the_outermost_namespace_in_the_container() {
    let machine = Machine::new();
    for (top, wanted) in [
        ("/lxc.payload.box", "box"),
        (
            "/machine.slice/systemd-nspawn@crate.service/payload",
            "crate",
        ),
    ] {
        let below = format!("{top}/sub");
        let pid = 4_000_000 + u32::try_from(top.len()).expect("short") * 10;
        machine.member(&[pid, 7], top);
        machine.member(&[pid + 1, 1], &below);
        machine.member(&[pid + 2, 9, 1], &below);
        let cgroups = [top, &below].map(|path| machine.cgroup(0, path));
        assert_eq!(init(&machine, wanted, &cgroups), Some(pid + 1), "{wanted}");
    }
}

#[test]
fn several_namespaces_at_the_same_depth_have_no_common_init() {
    let machine = Machine::new();
    machine.member(&[4_000_001, 1], "/lxc.payload.box");
    machine.member(&[4_000_002, 1], "/lxc.payload.box");
    let cgroups = [machine.cgroup(0, "/lxc.payload.box")];
    assert_eq!(init(&machine, "box", &cgroups), None);
}

#[test]
fn the_runtimes_pid_file_names_the_init_of_a_container_in_the_hosts_namespace() {
    let docker = format!("/docker/{A}");
    let crio = format!("/kubepods/pod12345678/crio-{A}");
    let ctr = format!("/default/{A}");
    let conmon = "run/containers/storage/overlay-containers";
    let task = "run/containerd/io.containerd.runtime.v2.task/default";
    for (cgroup, file, content) in [
        (
            &docker,
            format!("var/lib/docker/containers/{A}/config.v2.json"),
            json!({"Name": "/web", "State": {"Pid": 4_000_002}}).to_string(),
        ),
        (
            &crio,
            format!("{conmon}/{A}/userdata/pidfile"),
            "4000002".to_owned(),
        ),
        (&ctr, format!("{task}/{A}/init.pid"), "4000002\n".to_owned()),
    ] {
        let machine = Machine::new();
        machine.member(&[4_000_001], cgroup);
        machine.member(&[4_000_002], cgroup);
        let cgroups = [machine.cgroup(0, cgroup)];
        assert_eq!(init(&machine, A, &cgroups), None, "{cgroup}");
        machine.write(file, content);
        assert_eq!(init(&machine, A, &cgroups), Some(4_000_002), "{cgroup}");
    }
}

#[test]
fn a_pid_file_that_names_a_process_outside_the_container_is_ignored() {
    let machine = Machine::new();
    let cgroup = format!("/default/{A}");
    machine.member(&[4_000_001], "/elsewhere");
    machine.member(&[4_000_002, 1], &cgroup);
    let task = "run/containerd/io.containerd.runtime.v2.task/default";
    machine.write(format!("{task}/{A}/init.pid"), "4000001");
    let cgroups = [machine.cgroup(0, &cgroup)];
    assert_eq!(init(&machine, A, &cgroups), Some(4_000_002));
}

#[test]
fn a_container_without_a_cgroup_may_have_others_unless_its_init_has_a_pid_namespace() {
    // The state of a user is not used after the init process has exited.
    let is_roots = rustix::process::geteuid().is_root();
    for (cgroup, pids, expected) in [
        ("", &[4_000_000][..], Some(true)),
        ("", &[4_000_000, 1], Some(false)),
        // It shares the pid namespace of another container.
        ("", &[4_000_000, 7], Some(true)),
        ("", &[], is_roots.then_some(true)),
        ("/gone", &[4_000_000], Some(true)),
        ("/gone", &[], is_roots.then_some(false)),
    ] {
        let machine = Machine::new();
        machine.crun("run/crun/web", cgroup, "/nowhere");
        if !pids.is_empty() {
            machine.member(pids, "/elsewhere");
        }
        let found = machine.resolver().find("web", &[]);
        let found = found.ok().map(|it| it.may_have_others);
        assert_eq!(found, expected, "{cgroup} {pids:?}");
    }
}
