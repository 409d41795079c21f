//! The names of containers, for each runtime.

use std::os::unix::fs::symlink;

use serde_json::json;

use super::machine::{A, B, Machine};

const POD_UID: &str = "1b0fa1b4-7c4d-4f0e-9a3a-2f7d5d1c9e11";
const STORE: &str = "var/lib/containers/storage/overlay-containers/containers.json";

#[test]
fn the_names_of_podmans_containers_are_in_its_store() {
    let machine = Machine::new();
    let list = json!([
        { "id": A, "names": ["web"], "image": "", "layer": "x", "created": "2026-01-02T03:04:05Z" },
        { "id": "other", "names": null },
    ]);
    machine.write_json(STORE, &list);
    let volatile = json!([{ "id": B, "names": ["brief"], "flags": { "Volatile": true } }]);
    let file = "run/containers/storage/overlay-containers/volatile-containers.json";
    machine.write_json(file, &volatile);
    let mut resolver = machine.test_resolver();
    for (id, name) in [(A, "web"), (B, "brief")] {
        let path = format!("/machine.slice/libpod-{id}.scope/container");
        assert_eq!(resolver.container_of(&path), format!("podman {id} {name}"));
    }
}

#[test]
fn a_list_of_podman_is_read_again_after_a_change() {
    let machine = Machine::new();
    machine.write_json(STORE, &json!([{ "id": A, "names": ["web"] }]));
    let mut resolver = machine.test_resolver();
    let mut at = |id: &str| resolver.container_of(&format!("/machine.slice/libpod-{id}.scope"));
    assert_eq!(at(A), format!("podman {A} web"));
    let both = json!([{ "id": A, "names": ["web"] }, { "id": B, "names": ["new"] }]);
    machine.write_json(STORE, &both);
    assert_eq!(at(B), format!("podman {B} new"));
}

#[test]
fn the_bundle_identifies_a_container_of_rootless_podman_with_cgroupfs() {
    let machine = Machine::new();
    let store = machine.path("home/u/.local/share/containers/storage/overlay-containers");
    let list = json!([{ "id": A, "names": ["web"] }]);
    machine.write_json(store.join("containers.json"), &list);
    let bundle = store.join(A).join("userdata");
    let config = json!({ "annotations": { "io.container.manager": "libpod" } });
    machine.write_json(bundle.join("config.json"), &config);
    let cgroup = format!("/user.slice/{A}");
    machine.cgroup(0, &cgroup);
    machine.crun(format!("run/user/1000/crun/{A}"), &cgroup, bundle);
    let container = machine.test_resolver().container_of(&cgroup);
    assert_eq!(container, format!("podman {A} web"));
}

#[test]
fn the_annotations_of_containerd_have_pod_and_name() {
    let machine = Machine::new();
    let mut annotations = json!({
        "io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri.sandbox-id": B,
        "io.kubernetes.cri.sandbox-name": "shop-0",
        "io.kubernetes.cri.sandbox-namespace": "prod",
        "io.kubernetes.cri.sandbox-uid": POD_UID,
    });
    machine.bundle("k8s.io", B, &annotations);
    annotations["io.kubernetes.cri.container-type"] = json!("container");
    annotations["io.kubernetes.cri.container-name"] = json!("nginx");
    machine.bundle("k8s.io", A, &annotations);
    let mut resolver = machine.test_resolver();
    for (id, name) in [(A, "nginx"), (B, "shop-0")] {
        let path = format!("/system.slice/cri-containerd-{id}.scope");
        let expected = format!("containerd {id} {name} in pod {POD_UID}");
        assert_eq!(resolver.container_of(&path), expected);
    }
}

#[test]
fn the_annotations_of_cri_o_have_pod_and_name() {
    let machine = Machine::new();
    let userdata = format!("run/containers/storage/overlay-containers/{A}/userdata");
    let annotations = json!({
        "io.container.manager": "cri-o",
        "io.kubernetes.container.name": "nginx",
        "io.kubernetes.pod.name": "shop-0",
        "io.kubernetes.pod.namespace": "prod",
        "io.kubernetes.pod.uid": POD_UID,
    });
    let config = json!({ "annotations": annotations });
    machine.write_json(format!("{userdata}/config.json"), &config);
    let path = format!("/kubepods.slice/kubepods-pod{POD_UID}.slice/crio-{A}.scope");
    let mut resolver = machine.test_resolver();
    let container = resolver.container_of(&path);
    assert_eq!(container, format!("cri-o {A} nginx in pod {POD_UID}"));
    let container = resolver.inner.container_of(&path).expect("a container");
    assert_eq!(container.pod.as_deref(), Some("prod/shop-0"));
}

#[test]
fn a_sandbox_that_cri_o_calls_pod_has_the_name_of_its_pod() {
    let machine = Machine::new();
    let userdata = format!("run/containers/storage/overlay-containers/{A}/userdata");
    let annotations = json!({
        "io.container.manager": "cri-o",
        "io.kubernetes.container.name": "POD",
        "io.kubernetes.pod.name": "shop-0",
        "io.kubernetes.pod.namespace": "prod",
        "io.kubernetes.pod.uid": POD_UID,
    });
    let config = json!({ "annotations": annotations });
    machine.write_json(format!("{userdata}/config.json"), &config);
    let path = format!("/kubepods.slice/kubepods-pod{POD_UID}.slice/crio-{A}.scope");
    let container = machine.test_resolver().container_of(&path);
    assert_eq!(container, format!("cri-o {A} shop-0 in pod {POD_UID}"));
}

#[test]
fn the_sandbox_of_kata_has_the_name_and_the_uid_of_its_pod_in_each_of_its_cgroups() {
    let machine = Machine::new();
    let annotations = json!({
        "io.kubernetes.cri.sandbox-name": "shop-0",
        "io.kubernetes.cri.sandbox-namespace": "prod",
        "io.kubernetes.cri.sandbox-uid": POD_UID,
    });
    machine.bundle("k8s.io", A, &annotations);
    let mut resolver = machine.test_resolver();
    for path in [
        format!("/kubepods/burstable/pod{POD_UID}/kata_{A}"),
        format!("/kata_overhead/{A}"),
    ] {
        let container = resolver.container_of(&path);
        let expected = format!("containerd {A} shop-0 in pod {POD_UID}");
        assert_eq!(container, expected, "{path}");
    }
}

#[test]
fn a_bare_id_in_a_pod_belongs_to_docker_if_docker_has_its_state() {
    let machine = Machine::new();
    machine.docker(A, "k8s_nginx");
    let mut resolver = machine.test_resolver();
    for (id, expected) in [(A, "docker"), (B, "containerd")] {
        let container = resolver.container_of(&format!("/kubepods/pod{POD_UID}/{id}"));
        assert_eq!(container.split(' ').next(), Some(expected), "{container}");
    }
}

#[test]
fn the_retry_suffix_of_an_lxc_cgroup_is_not_part_of_the_container_name() {
    let machine = Machine::new();
    for name in ["box", "real-2"] {
        machine.create_dir(format!("var/lib/lxc/{name}"));
    }
    let mut resolver = machine.test_resolver();
    for (cgroup, name) in [
        ("box", "box"),
        ("box-1", "box"),
        ("real-2", "real-2"),
        ("unknown-3", "unknown-3"),
    ] {
        let container = resolver.container_of(&format!("/lxc.payload.{cgroup}"));
        assert_eq!(container, format!("lxc {name} {name}"));
    }
}

#[test]
fn a_container_of_lxc_in_another_directory_is_not_taken_for_a_retry() {
    let machine = Machine::new();
    machine.create_dir("var/lib/lxc/web");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/lxc.payload.web-1"), "lxc web web");
    machine.write("proc/1/net/unix", "0: 01 @/srv/lxc/web-1/command\n");
    assert_eq!(
        resolver.container_of("/lxc.payload.web-1"),
        "lxc web-1 web-1"
    );
}

#[test]
fn lxd_and_incus_are_told_from_lxc_by_their_state() {
    let machine = Machine::new();
    machine.create_dir("var/lib/lxc/plain");
    machine.create_dir("var/snap/lxd/common/lxd/containers");
    machine.create_dir("var/lib/incus/containers/project_box");
    // A symbolic link leads to the storage pool.
    let link = machine.path("var/snap/lxd/common/lxd/containers/web");
    symlink("../storage-pools/default/containers/web", link).expect("a link");
    let mut resolver = machine.test_resolver();
    for (cgroup, expected) in [
        ("plain", "lxc plain plain"),
        ("web", "lxd web web"),
        ("web-1", "lxd web web"),
        ("project_box", "incus project_box project_box"),
    ] {
        let path = format!("/lxc.payload.{cgroup}/init.scope");
        assert_eq!(resolver.container_of(&path), expected, "{cgroup}");
    }
}

/// Makes machined's file of the machine `box`.
fn machined(machine: &Machine, unit: &str, class: &str) {
    let state = format!(
        "# This is private data. Do not parse.\nNAME=box\nSCOPE={unit}\nSERVICE=nspawn\n\
         LEADER=42\nCLASS={class}\nREALTIME=1\nMONOTONIC=1\n"
    );
    machine.write("run/systemd/machines/box", state);
}

#[test]
fn a_machine_is_identified_by_a_unit_with_any_name() {
    let machine = Machine::new();
    machined(&machine, "own.service", "container");
    let mut resolver = machine.test_resolver();
    for (path, expected) in [
        (
            "/system.slice/own.service/payload/init.scope",
            "systemd-nspawn box box",
        ),
        ("/system.slice/own.service/supervisor", "none"),
        ("/system.slice/other.service", "none"),
        ("/user.slice/user@1000.service/own.service", "none"),
    ] {
        assert_eq!(resolver.container_of(path), expected, "{path}");
    }
}

#[test]
fn a_virtual_machine_is_no_container() {
    let machine = Machine::new();
    // The file of machined escapes the backslashes of the unit name.
    machined(&machine, r"machine-my\\x2dbox.scope", "vm");
    let mut resolver = machine.test_resolver();
    let virtual_machine = resolver.container_of(r"/machine.slice/machine-my\x2dbox.scope");
    assert_eq!(virtual_machine, "none");
    let container = resolver.container_of("/machine.slice/machine-box.scope");
    assert_eq!(container, "systemd-nspawn box box");
}

/// Moves Docker's data root of a machine.
type Configure = fn(&Machine);

#[test]
fn the_mounts_of_a_container_and_dockers_configuration_tell_a_moved_data_root() {
    // A user's state tells no data root, and this test may run as a user.
    let is_roots = rustix::process::geteuid().is_root();
    let configure: [(Configure, bool); 2] = [
        (
            |it| {
                let configured = json!({ "data-root": it.path("moved") });
                it.write_json("etc/docker/daemon.json", &configured);
            },
            true,
        ),
        (
            |it| {
                let mut state = it.runc_state(A, &format!("/docker/{A}"), None);
                let hostname = it.path(format!("moved/containers/{A}/hostname"));
                state["config"]["mounts"] = json!([{ "source": hostname }]);
                let file = format!("run/docker/runtime-runc/moby/{A}/state.json");
                it.write_json(file, &state);
            },
            is_roots,
        ),
    ];
    for (configure, is_named) in configure {
        let machine = Machine::new();
        let config = json!({ "Name": "/web", "State": { "Pid": 1 } });
        machine.write_json(format!("moved/containers/{A}/config.v2.json"), &config);
        machine.cgroup(0, &format!("/docker/{A}"));
        configure(&machine);
        let mut resolver = machine.test_resolver();
        let container = resolver.container_of(&format!("/docker/{A}"));
        let name = if is_named { "web" } else { "-" };
        assert_eq!(container, format!("docker {A} {name}"));
    }
}

#[test]
fn the_monitor_of_a_container_tells_its_engine_and_its_name() {
    let conmon = |id| format!("/usr/bin/conmon -c {id} -n web --exit-command /usr/bin/podman");
    let shim = |namespace| format!("/bin/containerd-shim-runc-v2 -namespace {namespace} -id x");
    for (command, expected) in [
        (conmon(A), "podman web"),
        (conmon(B), "unknown -"),
        (shim("moby"), "docker -"),
        (shim("default"), "containerd -"),
        ("/bin/sleep 1".to_owned(), "unknown -"),
    ] {
        let machine = Machine::new();
        let cgroup = format!("/user.slice/user@1000.service/{A}");
        machine.member(&[4_000_001, 1], &cgroup);
        machine.process(1, 1, "/");
        machine.write("proc/1/cmdline", command.replace(' ', "\0"));
        let found = machine.test_resolver().container_of(&cgroup);
        assert_eq!(found, expected.replace(' ', &format!(" {A} ")), "{command}");
        // Any user can run a program of this name.
        machine.write("proc/1/status", "Uid:\t4242\t4242\t4242\t4242\n");
        let found = machine.test_resolver().container_of(&cgroup);
        assert_eq!(found, format!("unknown {A} -"), "{command}");
    }
}

#[test]
fn the_shim_of_a_bare_id_in_a_pod_tells_docker_from_containerd() {
    for (namespace, expected) in [("moby", "docker"), ("k8s.io", "containerd")] {
        let machine = Machine::new();
        let cgroup = format!("/kubepods/pod12345678/{A}");
        machine.member(&[4_000_001, 1], &cgroup);
        machine.process(1, 1, "/");
        let shim = format!("/bin/containerd-shim-runc-v2\0-namespace\0{namespace}\0");
        machine.write("proc/1/cmdline", shim);
        let found = machine.test_resolver().container_of(&cgroup);
        assert_eq!(found, format!("{expected} {A} - in pod 12345678"));
    }
}
