//! Finding a container by its state alone, without the cgroups of the whole machine.

use serde_json::json;

use super::{
    find::docker,
    machine::{A, B, Machine},
};
use crate::container::Found;

fn find(machine: &Machine, wanted: &str) -> Option<Found> {
    machine.resolver().find_by_state(wanted, |_| true)
}

/// Adds to a machine a container that may have the same name.
type AddRival = fn(&Machine);

/// A machine with a container `web` of runc.
fn with_runc() -> Machine {
    let machine = Machine::new();
    machine.runc("web", "/web");
    machine
}

#[test]
fn state_names_the_cgroups_of_a_container() {
    let machine = with_runc();
    let scope = format!("/machine.slice/libpod-{A}.scope");
    let sub = format!("{scope}/container");
    machine.cgroup(0, &sub);
    machine.crun(format!("run/crun/{A}"), &sub, "/nowhere");
    let (_, of_docker) = docker(&machine, B, "shop");
    let state = machine.runc_state(B, &of_docker, None);
    let file = format!("run/docker/runtime-runc/moby/{B}/state.json");
    machine.write_json(file, &state);
    for (wanted, cgroup) in [
        ("web", "/web"),
        ("runc/web", "/web"),
        (A, &scope),
        (&A[..14], &scope),
        (B, &of_docker),
        ("shop", &of_docker),
        ("moby/shop", &of_docker),
    ] {
        let found = find(&machine, wanted).expect(wanted);
        assert_eq!(found.cgroups[0], (0, cgroup.to_owned()), "{wanted}");
    }
}

#[test]
fn the_leader_of_a_machine_is_in_its_unit() {
    let machine = Machine::new();
    let unit = "/custom.slice/machine-box.scope";
    machine.process(4_000_000, 77, &format!("{unit}/payload/init.scope"));
    machine.cgroup(0, &format!("{unit}/payload/init.scope"));
    let file = "NAME=box\nSCOPE=machine-box.scope\nLEADER=4000000\nCLASS=container\n";
    machine.write("run/systemd/machines/box", file);
    let found = find(&machine, "box").expect("one container");
    assert_eq!(found.cgroups, [(0, format!("{unit}/payload"))]);
}

#[test]
fn state_does_not_decide_without_an_existing_cgroup() {
    let machine = with_runc();
    machine.remove("cgroup/unified/web");
    machine.remove("cgroup/pids/web");
    assert!(find(&machine, "web").is_none());
}

#[test]
fn state_does_not_decide_if_a_container_without_state_may_have_the_name() {
    let sockets = |name: &str| format!("Num RefCount Path\n0: 01 @{name}/command\n");
    let docker_config = json!({ "Name": "/web", "State": { "Pid": 1 } });
    let rivals: [(&str, AddRival); 6] = [
        ("LXC", |it| _ = it.cgroup(0, "/lxc.payload.web")),
        ("LXC in one hierarchy", |it| {
            _ = it.cgroup(super::machine::PIDS, "/lxc/web");
        }),
        ("runc", |it| {
            let (_, path) = it.cgroup(0, "/system.slice/runc-web.scope");
            it.write(
                format!("cgroup/unified{path}/cgroup.events"),
                "populated 1\n",
            );
        }),
        ("nspawn", |it| {
            _ = it.cgroup(0, "/machine.slice/systemd-nspawn@web.service");
        }),
        ("containerd", |it| {
            it.bundle("default", "another", &json!({}));
        }),
        ("runc before its state", |it| {
            it.create_dir("run/containerd/runc/default/web");
        }),
    ];
    for (rival, add) in rivals {
        let machine = with_runc();
        assert!(find(&machine, "web").is_some(), "{rival}");
        add(&machine);
        assert!(find(&machine, "web").is_none(), "{rival}");
    }
    for socket in [
        "/var/lib/lxc/web",
        "/home/u/.local/share/lxc/web",
        "lxc/0f3a",
    ] {
        let machine = with_runc();
        machine.write("proc/1/net/unix", sockets(socket));
        assert!(find(&machine, "web").is_none(), "{socket}");
    }
    let machine = with_runc();
    machine.write("proc/1/net/unix", sockets("/var/lib/lxc/db"));
    assert!(find(&machine, "web").is_some(), "another name");
    let config = format!("var/lib/docker/containers/{A}/config.v2.json");
    machine.write_json(config, &docker_config);
    assert!(find(&machine, "web").is_none(), "Docker");
}

#[test]
fn a_random_id_decides_whatever_else_runs() {
    let machine = Machine::new();
    let cgroup = format!("/docker/{A}");
    machine.runc(A, &cgroup);
    machine.bundle("default", "another", &json!({}));
    let sockets = "Num RefCount Path\n0: 01 @lxc/0f3a/command\n";
    machine.write("proc/1/net/unix", sockets);
    assert!(find(&machine, A).is_some());
    // A prefix of a few digits may be that of a container without state.
    assert!(find(&machine, &A[..11]).is_none());
}
