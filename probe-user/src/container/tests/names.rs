//! The names of containers, for each runtime.

use std::{fs, path::Path};

use serde_json::json;

use super::machine::{A, B, Machine, short};

const POD_UID: &str = "1b0fa1b4-7c4d-4f0e-9a3a-2f7d5d1c9e11";

#[test]
fn the_names_of_podmans_containers_are_in_its_store() {
    let mut machine = Machine::new();
    let list = json!([
        { "id": A, "names": ["web"], "image": "", "layer": "x", "created": "2026-01-02T03:04:05Z" },
        { "id": "other", "names": null },
    ]);
    machine.write_json(
        "var/lib/containers/storage/overlay-containers/containers.json",
        &list,
    );
    let volatile = json!([{ "id": B, "names": ["brief"], "flags": { "Volatile": true } }]);
    let file = "run/containers/storage/overlay-containers/volatile-containers.json";
    machine.write_json(file, &volatile);
    let mut resolver = machine.resolver();
    let scope = |id: &str| format!("/machine.slice/libpod-{id}.scope/container");
    let container = resolver.container_at(&scope(A), machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("podman", A, Some("web")))
    );
    let container = resolver.container_at(&scope(B), machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("podman", B, Some("brief")))
    );
}

#[test]
fn a_list_of_podman_is_read_again_after_a_change() {
    let mut machine = Machine::new();
    let file = "var/lib/containers/storage/overlay-containers/containers.json";
    machine.write_json(file, &json!([{ "id": A, "names": ["web"] }]));
    let mut resolver = machine.resolver();
    let scope = |id: &str| format!("/machine.slice/libpod-{id}.scope");
    assert!(resolver.container_at(&scope(A), machine.later()).is_some());
    let both = json!([{ "id": A, "names": ["web"] }, { "id": B, "names": ["new"] }]);
    machine.write_json(file, &both);
    let container = resolver.container_at(&scope(B), machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("podman", B, Some("new")))
    );
}

#[test]
fn the_bundle_identifies_a_container_of_rootless_podman_with_cgroupfs() {
    let mut machine = Machine::new();
    let store = machine.path("home/u/.local/share/containers/storage/overlay-containers");
    let list = json!([{ "id": A, "names": ["web"] }]);
    machine.write_json(store.join("containers.json"), &list);
    let bundle = store.join(A).join("userdata");
    let config = json!({ "annotations": { "io.container.manager": "libpod" } });
    machine.write_json(bundle.join("config.json"), &config);
    let status = json!({
        "pid": 4_000_000, "process-start-time": 77, "bundle": bundle,
        "cgroup-path": format!("/user.slice/{A}"), "rootfs": "/x",
    });
    machine.cgroup(0, &format!("/user.slice/{A}"));
    machine.write_json(format!("run/user/1000/crun/{A}/status"), &status);
    let mut resolver = machine.resolver();
    let container = resolver.container_at(&format!("/user.slice/{A}"), machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("podman", A, Some("web")))
    );
}

#[test]
fn the_annotations_of_containerd_have_pod_and_name() {
    let mut machine = Machine::new();
    let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
    let annotations = |kind: &str| {
        json!({
            "io.kubernetes.cri.container-type": kind,
            "io.kubernetes.cri.sandbox-id": B,
            "io.kubernetes.cri.sandbox-name": "shop-0",
            "io.kubernetes.cri.sandbox-namespace": "prod",
            "io.kubernetes.cri.sandbox-uid": POD_UID,
        })
    };
    let mut container = annotations("container");
    container["io.kubernetes.cri.container-name"] = json!("nginx");
    machine.write_json(
        format!("{tasks}/{A}/config.json"),
        &json!({ "annotations": container }),
    );
    let sandbox = json!({ "annotations": annotations("sandbox") });
    machine.write_json(format!("{tasks}/{B}/config.json"), &sandbox);
    let mut resolver = machine.resolver();
    let path = |id: &str| format!("/system.slice/cri-containerd-{id}.scope");
    let container = resolver
        .container_at(&path(A), machine.later())
        .expect("a container");
    assert_eq!(
        short(Some(&container)),
        Some(("containerd", A, Some("nginx")))
    );
    assert_eq!(container.pod_uid.as_deref(), Some(POD_UID));
    let sandbox = resolver.container_at(&path(B), machine.later());
    assert_eq!(
        short(sandbox.as_deref()),
        Some(("containerd", B, Some("shop-0")))
    );
}

#[test]
fn the_annotations_of_cri_o_have_pod_and_name() {
    let mut machine = Machine::new();
    let userdata = format!("run/containers/storage/overlay-containers/{A}/userdata");
    let annotations = json!({
        "io.container.manager": "cri-o",
        "io.kubernetes.container.name": "nginx",
        "io.kubernetes.pod.name": "shop-0",
        "io.kubernetes.pod.namespace": "prod",
        "io.kubernetes.pod.uid": POD_UID,
    });
    machine.write_json(
        format!("{userdata}/config.json"),
        &json!({ "annotations": annotations }),
    );
    let mut resolver = machine.resolver();
    let path = format!("/kubepods.slice/kubepods-pod{POD_UID}.slice/crio-{A}.scope");
    let container = resolver
        .container_at(&path, machine.later())
        .expect("a container");
    assert_eq!(short(Some(&container)), Some(("cri-o", A, Some("nginx"))));
    assert_eq!(container.pod_uid.as_deref(), Some(POD_UID));
}

#[test]
fn a_bare_id_in_a_pod_belongs_to_docker_if_docker_has_its_state() {
    let mut machine = Machine::new();
    let config = json!({ "Name": "/k8s_nginx_shop-0_prod_1_0" });
    machine.write_json(
        format!("var/lib/docker/containers/{A}/config.v2.json"),
        &config,
    );
    let mut resolver = machine.resolver();
    let path = |id: &str| format!("/kubepods/pod{POD_UID}/{id}");
    let container = resolver
        .container_at(&path(A), machine.later())
        .expect("a container");
    assert_eq!(container.runtime.as_str(), "docker");
    let container = resolver
        .container_at(&path(B), machine.later())
        .expect("a container");
    assert_eq!(container.runtime.as_str(), "containerd");
}

#[test]
fn the_retry_suffix_of_an_lxc_cgroup_is_not_part_of_the_container_name() {
    let mut machine = Machine::new();
    for name in ["box", "real-2"] {
        fs::create_dir_all(machine.path("var/lib/lxc").join(name)).expect("a directory");
    }
    let mut resolver = machine.resolver();
    let mut name = |path: &str| {
        let container = resolver
            .container_at(path, machine.later())
            .expect("a container");
        container.id.clone()
    };
    assert_eq!(name("/lxc.payload.box"), "box");
    assert_eq!(name("/lxc.payload.box-1"), "box");
    assert_eq!(name("/lxc.payload.real-2"), "real-2");
    assert_eq!(name("/lxc.payload.unknown-3"), "unknown-3");
}

fn machined(unit: &str, class: &str) -> String {
    format!(
        "# This is private data. Do not parse.\nNAME=box\nSCOPE={unit}\nSERVICE=nspawn\n\
         LEADER=42\nCLASS={class}\nREALTIME=1\nMONOTONIC=1\n"
    )
}

#[test]
fn a_machine_is_identified_by_a_unit_with_any_name() {
    let mut machine = Machine::new();
    machine.write(
        "run/systemd/machines/box",
        machined("own.service", "container"),
    );
    let mut resolver = machine.resolver();
    let mut at = |path: &str| resolver.container_at(path, machine.later());
    let container = at("/system.slice/own.service/payload/init.scope");
    assert_eq!(
        short(container.as_deref()),
        Some(("systemd-nspawn", "box", Some("box")))
    );
    assert_eq!(at("/system.slice/own.service/supervisor"), None);
    assert_eq!(at("/system.slice/other.service"), None);
    assert_eq!(at("/user.slice/user@1000.service/own.service"), None);
}

#[test]
fn a_virtual_machine_is_no_container() {
    let mut machine = Machine::new();
    // The file of machined escapes the backslashes of the unit name.
    let state = machined(r"machine-my\\x2dbox.scope", "vm");
    machine.write(Path::new("run/systemd/machines/box"), state);
    let mut resolver = machine.resolver();
    let mut at = |path: &str| resolver.container_at(path, machine.later());
    assert_eq!(at(r"/machine.slice/machine-my\x2dbox.scope"), None);
    assert!(at("/machine.slice/machine-box.scope").is_some());
}
