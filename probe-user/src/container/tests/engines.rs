//! The list of container engines with state on a machine.

use super::machine::{A, Machine};

#[test]
fn every_directory_that_exists_is_listed_with_its_containers() {
    let machine = Machine::new();
    machine.docker(A, "web");
    machine.runc("box", "/box");
    machine.create_dir(format!("run/docker/runtime-runc/moby/{A}"));
    machine.create_dir("run/containerd/runc/k8s.io");
    let store = "var/lib/containers/storage/vfs-containers";
    machine.write(format!("{store}/containers.json"), "[]");
    machine.write(format!("{store}/containers.lock"), "");
    machine.create_dir("var/lib/incus/containers/web");
    machine.write("run/systemd/machines/box", "");
    let found = machine.roots().engines();
    let listed = found.iter().map(|it| {
        let location = it.location.strip_prefix(machine.path("")).expect("below");
        let containers = it.containers.as_ref().expect("readable");
        let location = location.to_str().expect("UTF-8");
        (it.runtime.as_str(), location, *containers)
    });
    assert_eq!(
        listed.collect::<Vec<_>>(),
        [
            ("docker", "var/lib/docker/containers", 1),
            ("containerd", "run/containerd/runc/k8s.io", 0),
            ("docker", "run/docker/runtime-runc/moby", 1),
            ("runc", "run/runc", 1),
            ("podman", store, 0),
            ("incus", "var/lib/incus/containers", 1),
            ("systemd-nspawn", "run/systemd/machines", 1),
        ]
    );
}
