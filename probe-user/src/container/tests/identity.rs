//! Which container a name means when several containers could be meant.

use serde_json::json;

use super::{
    find::{ambiguous, docker, find, id},
    machine::{A, B, Machine},
};
use crate::container::{FindError, Resolver};

#[test]
fn a_shared_name_is_ambiguous_and_a_chosen_id_is_a_name() {
    let machine = Machine::new();
    let mut cgroups = vec![docker(&machine, A, "web"), docker(&machine, B, "web")];
    assert_eq!(ambiguous(find(&machine, "web", &cgroups)), [A, B]);
    for id in ["web", "web2"] {
        machine.runc(id, &format!("/{id}"));
        cgroups.push(machine.cgroup(0, &format!("/{id}")));
    }
    let mut found = ambiguous(find(&machine, "web", &cgroups));
    found.sort();
    assert_eq!(found, [A, B, "web"]);
    // Only random ids have prefixes: a deleted `web` is not `web2`.
    let error = find(&machine, "we", &cgroups).expect_err("no container has this name");
    assert!(matches!(error, FindError::Unknown { .. }), "{error}");
    for (wanted, expected) in [(A, A), (B, B), ("web2", "web2"), ("runc/web", "web")] {
        assert_eq!(id(find(&machine, wanted, &cgroups)), expected);
    }
    assert_eq!(ambiguous(find(&machine, "docker/web", &cgroups)), [A, B]);
}

#[test]
fn stopped_containers_of_docker_lxc_and_podman_are_found_without_a_cgroup() {
    let machine = Machine::new();
    let config = json!({ "Name": "/web", "State": { "Pid": 0 } });
    machine.write_json(
        format!("var/lib/docker/containers/{A}/config.v2.json"),
        &config,
    );
    machine.write("var/lib/lxc/box/config", "");
    let list = json!([{ "id": B, "names": ["db"] }]);
    machine.write_json(
        "var/lib/containers/storage/overlay-containers/containers.json",
        &list,
    );
    for (wanted, expected) in [
        ("web", A),
        (A, A),
        (&A[..13], A),
        ("box", "box"),
        ("db", B),
        (B, B),
        ("podman/db", B),
    ] {
        let found = find(&machine, wanted, &[]).expect("one container");
        assert_eq!(found.container.id, expected);
        assert!(found.cgroups.is_empty() && found.inits.is_empty());
    }
    // A container with a cgroup is not found twice.
    let cgroups = [
        machine.cgroup(0, "/lxc.payload.box"),
        docker(&machine, A, "web"),
        machine.cgroup(0, &format!("/machine.slice/libpod-{B}.scope")),
    ];
    for (wanted, cgroup) in ["box", "web", "db"].iter().zip(&cgroups) {
        let found = find(&machine, wanted, &cgroups).expect("one container");
        assert_eq!(found.cgroups, std::slice::from_ref(cgroup));
    }
}

#[test]
fn a_container_that_runs_without_a_known_cgroup_is_not_taken_for_stopped() {
    let machine = Machine::new();
    machine.docker(A, "web");
    machine.write("var/lib/lxc/box/config", "");
    let list = json!([{ "id": B, "names": ["db"] }]);
    machine.write_json(
        "var/lib/containers/storage/overlay-containers/containers.json",
        &list,
    );
    machine.process(4_000_001, 77, "/");
    let userdata = format!("run/containers/storage/overlay-containers/{B}/userdata");
    machine.write(format!("{userdata}/pidfile"), "4000001");
    let lxc = machine.path("var/lib/lxc");
    for sockets in [
        Some(format!("0: 01 @{}/box/command\n", lxc.display())),
        None,
    ] {
        let file = machine.path("proc/1/net/unix");
        match sockets {
            Some(sockets) => machine.write("proc/1/net/unix", sockets),
            None => std::fs::remove_file(file).expect("our own file"),
        }
        for wanted in ["web", "box", "db"] {
            let error = find(&machine, wanted, &[]).expect_err("it may run");
            assert!(matches!(error, FindError::Unknown { .. }), "{error}");
        }
    }
}

#[test]
fn an_exact_name_overrules_the_prefix_of_another_containers_id() {
    let machine = Machine::new();
    let cgroups = [docker(&machine, A, "web"), docker(&machine, B, "0123")];
    assert_eq!(id(find(&machine, "0123", &cgroups)), B);
}

/// A container of runc with a state directory of any runtime root.
fn runc_in(machine: &Machine, root: &str, id: &str, cgroup: &str) -> (u32, String) {
    let placed = machine.cgroup(0, cgroup);
    let state = machine.runc_state(id, cgroup, None);
    machine.write_json(format!("{root}/{id}/state.json"), &state);
    placed
}

#[test]
fn one_id_in_two_containerd_namespaces_is_two_containers() {
    let machine = Machine::new();
    let cgroups = ["default", "build"].map(|namespace| {
        let root = format!("run/containerd/runc/{namespace}");
        runc_in(&machine, &root, "web", &format!("/{namespace}/web"))
    });
    assert_eq!(ambiguous(find(&machine, "web", &cgroups)), ["web", "web"]);
    for (namespace, cgroup) in [("default", &cgroups[0]), ("build", &cgroups[1])] {
        let found = find(&machine, &format!("{namespace}/web"), &cgroups);
        let found = found.expect("one container");
        assert_eq!(found.cgroups, std::slice::from_ref(cgroup));
    }
}

#[test]
fn one_id_of_64_digits_in_two_runtime_roots_is_two_containers() {
    let machine = Machine::new();
    let namespaces = ["moby", "k8s.io"];
    let cgroups = namespaces.map(|it| {
        let root = format!("run/containerd/runc/{it}");
        runc_in(&machine, &root, A, &format!("/{it}/{A}"))
    });
    assert_eq!(ambiguous(find(&machine, A, &cgroups)), [A, A]);
}

#[test]
fn a_cgroup_that_no_state_claims_belongs_to_the_container_with_its_random_id() {
    let machine = Machine::new();
    let state = machine.runc_state(A, "/elsewhere", None);
    machine.write_json(
        format!("run/docker/runtime-runc/moby/{A}/state.json"),
        &state,
    );
    let cgroups = [docker(&machine, A, "web")];
    let found = find(&machine, "web", &cgroups).expect("one container");
    assert_eq!(found.cgroups, cgroups);
}

#[test]
fn a_runtime_root_that_the_user_names_decides() {
    let machine = Machine::new();
    let cgroups = [
        runc_in(&machine, "run/runc", "web", "/web"),
        runc_in(&machine, "run/mine", "web", "/mine"),
    ];
    let mut roots = machine.roots();
    roots.oci.push(machine.path("run/mine"));
    let error = Resolver::new(roots.clone()).find("web", &cgroups);
    assert_eq!(ambiguous(error), ["web", "web"]);
    roots.chosen = vec![machine.path("run/mine")];
    let found = Resolver::new(roots).find("web", &cgroups);
    assert_eq!(found.expect("one container").cgroups, cgroups[1..]);
}

#[test]
fn two_lxc_containers_of_one_name_are_ambiguous_while_both_live() {
    let machine = Machine::new();
    machine.write("var/lib/lxc/web/config", "");
    let cgroups = ["web", "web-1"].map(|it| machine.cgroup(0, &format!("/lxc.payload.{it}")));
    let events = "cgroup/unified/lxc.payload.web/cgroup.events";
    machine.write(events, "populated 0\n");
    machine.member(&[4_000_001, 1], &cgroups[1].1);
    let found = find(&machine, "web", &cgroups).expect("the other cgroup is a leftover");
    assert_eq!(found.cgroups, cgroups[1..]);
    for unreadable_or_populated in ["", "populated 1\n"] {
        machine.write(events, unreadable_or_populated);
        assert_eq!(ambiguous(find(&machine, "web", &cgroups)), ["web", "web"]);
    }
}

#[test]
fn roots_state_decides_which_container_a_cgroup_belongs_to_and_not_its_name() {
    // A user's state decides nothing, and this test may run as a user.
    let is_roots = rustix::process::geteuid().is_root();
    for cgroup in [
        "/system.slice/runc-other.scope",
        "/system.slice/crun-other.scope",
        "/lxc.payload.other",
        &format!("/docker/{A}"),
        &format!("/machine.slice/libpod-{A}"),
    ] {
        let machine = Machine::new();
        let cgroups = [runc_in(&machine, "run/runc", "web", cgroup)];
        let found = find(&machine, "web", &cgroups).map_or_else(|_| Vec::new(), |it| it.cgroups);
        assert_eq!(found == cgroups, is_roots, "{cgroup}: {found:?}");
    }
}
