//! The cgroup layouts of the runtimes, as a table.

use proptest::{prelude::*, proptest};

use crate::{
    container::layout::identify,
    model::Runtime::{
        self, Containerd, CriO, Crun, Docker, Ecs, Garden, Lxc, Nomad, Nspawn, Podman, Runc, Slurm,
        Unknown,
    },
};

const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const UID: &str = "1b0fa1b4-7c4d-4f0e-9a3a-2f7d5d1c9e11";
const UID_IN_SLICE: &str = "1b0fa1b4_7c4d_4f0e_9a3a_2f7d5d1c9e11";
const STATIC: &str = "4f1e9a2b3c4d5e6f708192a3b4c5d6e7";

/// Replaces `{a}` and `{b}` by ids, `{uid}`, `{slice}` and `{static}` by uids of pods.
fn fill(pattern: &str) -> String {
    pattern
        .replace("{a}", A)
        .replace("{b}", B)
        .replace("{uid}", UID)
        .replace("{slice}", UID_IN_SLICE)
        .replace("{static}", STATIC)
}

type Row = (&'static str, Runtime, &'static str, Option<&'static str>);

#[rustfmt::skip]
const CONTAINERS: &[Row] = &[
    // runc, crun with the systemd driver
    ("/system.slice/runc-web.scope", Runc, "web", None),
    ("/user.slice/crun-my.box+1.scope", Crun, "my.box+1", None),
    ("/system.slice/crun-web.scope/container", Crun, "web", None),
    // podman
    ("/machine.slice/libpod-{a}.scope", Podman, "{a}", None),
    ("/machine.slice/libpod-{a}.scope/container", Podman, "{a}", None),
    ("/machine.slice/libpod-{a}.scope/container/init.scope", Podman, "{a}", None),
    ("/machine.slice/machine-libpod_pod_{b}.slice/libpod-{a}.scope", Podman, "{a}", None),
    ("/libpod_parent/libpod-{a}", Podman, "{a}", None),
    ("/libpod_parent/{b}/libpod-{a}", Podman, "{a}", None),
    ("/my/parent/libpod-{a}", Podman, "{a}", None),
    ("/system.slice/web.service/libpod-payload-{a}", Podman, "{a}", None),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{a}.scope/container",
        Podman, "{a}", None),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{b}.slice/libpod-{a}.scope",
        Podman, "{a}", None),
    // Docker
    ("/docker/{a}", Docker, "{a}", None),
    ("/docker/{a}/init.scope", Docker, "{a}", None),
    ("/system.slice/docker-{a}.scope", Docker, "{a}", None),
    ("/system.slice/docker-{a}.scope/system.slice/nginx.service", Docker, "{a}", None),
    ("/my.slice/docker-{a}.scope", Docker, "{a}", None),
    ("/my/parent/{a}", Unknown, "{a}", None),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{a}.scope", Docker, "{a}", None),
    // containerd
    ("/default/{a}", Containerd, "{a}", None),
    ("/k8s.io/{a}", Containerd, "{a}", None),
    ("/system.slice/nerdctl-{a}.scope", Containerd, "{a}", None),
    ("/system.slice/cri-containerd-{a}.scope", Containerd, "{a}", None),
    // Kubernetes, cgroupfs driver
    ("/kubepods/burstable/pod{uid}/{a}", Containerd, "{a}", Some("{uid}")),
    ("/kubepods/besteffort/pod{uid}/{a}", Containerd, "{a}", Some("{uid}")),
    ("/kubepods/pod{uid}/{a}", Containerd, "{a}", Some("{uid}")),
    ("/kubepods/pod{static}/{a}", Containerd, "{a}", Some("{static}")),
    ("/kubepods/burstable/pod{uid}/crio-{a}", CriO, "{a}", Some("{uid}")),
    ("/my/root/kubepods/burstable/pod{uid}/{a}/sub", Containerd, "{a}", Some("{uid}")),
    // Kubernetes, systemd driver
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{a}.scope",
        Containerd, "{a}", Some("{uid}")),
    ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{slice}.slice/crio-{a}.scope",
        CriO, "{a}", Some("{uid}")),
    ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{slice}.slice/crio-{a}.scope/container",
        CriO, "{a}", Some("{uid}")),
    ("/kubepods.slice/kubepods-pod{slice}.slice/docker-{a}.scope", Docker, "{a}", Some("{uid}")),
    ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{static}.slice/cri-containerd-{a}.scope",
        Containerd, "{a}", Some("{static}")),
    ("/system.slice/containerd.service/kubepods-burstable-pod{slice}.slice:cri-containerd:{a}",
        Containerd, "{a}", Some("{uid}")),
    // kind and minikube, where the node is a container
    ("/docker/{b}/kubelet/kubepods/burstable/pod{uid}/{a}", Containerd, "{a}", Some("{uid}")),
    ("/docker/{b}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/\
        kubelet-kubepods-burstable-pod{slice}.slice/cri-containerd-{a}.scope",
        Containerd, "{a}", Some("{uid}")),
    ("/docker/{b}/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{slice}.slice/crio-{a}.scope",
        CriO, "{a}", Some("{uid}")),
    ("/docker/{b}/kubelet/kubepods/burstable/pod{uid}", Docker, "{b}", None),
    // the inner container wins
    ("/docker/{b}/docker/{a}", Docker, "{a}", None),
    ("/docker/{b}/system.slice/docker-{a}.scope", Docker, "{a}", None),
    ("/lxc.payload.box/docker/{a}", Docker, "{a}", None),
    ("/docker/{b}/lxc.payload.box", Lxc, "box", None),
    // LXC
    ("/lxc/box", Lxc, "box", None),
    ("/lxc/101/ns/system.slice/cron.service", Lxc, "101", None),
    ("/lxc/box/payload", Lxc, "box", None),
    ("/lxc.payload/box", Lxc, "box", None),
    ("/lxc.payload.box", Lxc, "box", None),
    ("/lxc.payload.project_box-1/system.slice/cron.service", Lxc, "project_box-1", None),
    // systemd-nspawn
    ("/machine.slice/systemd-nspawn@box.service", Nspawn, "box", None),
    ("/machine.slice/systemd-nspawn@my-box.service/payload/init.scope", Nspawn, "my-box", None),
    (r"/machine.slice/machine-my\x2dbox.scope", Nspawn, "my-box", None),
    (r"/machine.slice/machine-my\x2dbox.scope/payload/system.slice/cron.service", Nspawn, "my-box", None),
    (r"/machine.slice/machine-\xc3\xa4\x2.scope", Nspawn, r"ä\x2", None),
    // Kata: the cgroups have the id of the sandbox
    ("/kubepods/burstable/pod{uid}/kata_{a}", Containerd, "{a}", Some("{uid}")),
    ("/kata_overhead/{a}", Containerd, "{a}", None),
    ("/kata_overhead/kubepods/besteffort/pod{uid}/{a}", Containerd, "{a}", Some("{uid}")),
    ("/system.slice/kata_overhead-{a}.scope", Containerd, "{a}", None),
    // Nomad
    ("/nomad.slice/share.slice/{uid}.web.scope", Nomad, "{uid}.web", None),
    ("/nomad.slice/reserve.slice/{uid}.my.task.scope", Nomad, "{uid}.my.task", None),
    ("/nomad.slice/{uid}.web.scope", Nomad, "{uid}.web", None),
    ("/nomad/{uid}.web", Nomad, "{uid}.web", None),
    ("/nomad/share/{uid}.web", Nomad, "{uid}.web", None),
    ("/nomad.slice/docker-{a}.scope", Docker, "{a}", None),
    // Slurm
    ("/system.slice/slurmstepd.scope/job_981/step_batch/user/task_0", Slurm, "981.batch", None),
    ("/system.slice/node1_slurmstepd.scope/job_21868/step_0/user", Slurm, "21868.0", None),
    ("/system.slice/slurmstepd.scope/job_981", Slurm, "981", None),
    ("/slurm/uid_1000/job_77/step_extern/task_0", Slurm, "77.extern", None),
    ("/slurm_node1/uid_1000/job_77", Slurm, "77", None),
    ("/system.slice/slurmstepd.scope/job_981/step_batch/user/task_0/libpod-{a}", Podman, "{a}", None),
    // Garden
    ("/system.slice/garden.service/garden/good/2f57368b-0eda-4e52-64d8-af5c", Garden,
        "2f57368b-0eda-4e52-64d8-af5c", None),
    ("/system.slice/garden.service/garden/bad/2f57368b-0eda-4e52-64d8-af5c", Garden,
        "2f57368b-0eda-4e52-64d8-af5c", None),
    ("/garden/{uid}", Garden, "{uid}", None),
    // Amazon ECS
    ("/ecs/{static}/{static}-2531612879", Ecs, "{static}-2531612879", None),
    ("/ecs/{static}/{a}", Docker, "{a}", None),
    ("/ecs/default/{static}/{a}", Docker, "{a}", None),
    ("/ecstasks.slice/ecstasks-{static}.slice/docker-{a}.scope", Docker, "{a}", None),
    // the monitor of an inner container belongs to the outer container
    ("/docker/{b}/lxc.monitor.box", Docker, "{b}", None),
    ("/docker/{b}/machine.slice/libpod-conmon-{a}.scope", Docker, "{b}", None),
];

#[test]
fn every_layout_identifies_runtime_id_and_pod() {
    for &(path, runtime, id, pod_uid) in CONTAINERS {
        let path = fill(path);
        let found = identify(&path).unwrap_or_else(|| panic!("{path}"));
        let found = (found.runtime, found.id.into_owned(), found.pod_uid);
        assert_eq!(found, (runtime, fill(id), pod_uid.map(fill)), "{path}");
    }
}

const NO_CONTAINERS: &[&str] = &[
    "",
    "/",
    "//",
    "/system.slice/sshd.service",
    "/user.slice/user-1000.slice/session-3.scope",
    "/web",
    "/{a}",
    "/libpod_parent/{a}",
    "/libpod_parent/conmon",
    "/machine.slice/libpod-conmon-{a}.scope",
    "/system.slice/docker.service",
    "/system.slice/docker-compose.scope",
    "/docker",
    "/docker/buildkit/ab12",
    "/default/web",
    "/system.slice/containerd.service",
    "/system.slice/crio-conmon-{a}.scope",
    "/kubepods/burstable/pod{uid}/crio-conmon-{a}",
    "/system.slice/crio-pull-image-123456789012.scope",
    "/kubepods/burstable/pod{uid}",
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice",
    "/lxc",
    "/lxc.monitor.box",
    "/lxc.monitor/box",
    "/lxc.pivot",
    "/lxc/box/monitor",
    "/lxc/box/lxc.monitor.box",
    "/machine.slice/systemd-nspawn@box.service/supervisor",
    r"/machine.slice/machine-qemu\x2d1\x2dvm.scope",
    r"/machine.slice/machine-lxc\x2d1\x2dvm.scope/libvirt",
    "/machine.slice",
    "/machine.slice/systemd-nspawn@.service",
    "/supervisor/25bb3eec297c1f9243c641b889d3335a",
    "/a.slice:cri-containerd:",
    "/kata_overhead",
    "/nomad.slice",
    "/nomad.slice/share.slice/{uid}.scope",
    "/app.slice/{uid}.web.scope",
    "/system.slice/slurmstepd.scope",
    "/system.slice/slurmstepd.scope/system",
    "/jobs/job_981/step_0",
    "/garden",
    "/garden/good",
    "/ecs/{static}",
    "/init.scope",
    "/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF/x",
];

#[test]
fn a_cgroup_without_a_container_has_no_layout() {
    for path in NO_CONTAINERS {
        assert_eq!(identify(&fill(path)), None, "{path}");
    }
}

#[test]
fn the_top_is_the_containers_own_cgroup() {
    let top = |path: &str| identify(&fill(path)).map(|it| it.top.to_owned());
    let expect = |path: &str, expected: &str| assert_eq!(top(path), Some(fill(expected)));
    expect("/docker/{a}/x/y", "/docker/{a}");
    expect("/docker/{a}", "/docker/{a}");
    expect("/docker/{b}/docker/{a}/x", "/docker/{b}/docker/{a}");
    let unit = "/machine.slice/systemd-nspawn@box.service";
    expect(unit, unit);
    expect(&format!("{unit}/payload/x"), &format!("{unit}/payload"));
    expect("/lxc/box/payload/x", "/lxc/box/payload");
    expect("/lxc/box/ns/x", "/lxc/box");
    let job = "/system.slice/slurmstepd.scope/job_981";
    expect(
        &format!("{job}/step_0/user/task_1"),
        &format!("{job}/step_0"),
    );
    let nspawn = "/machine.slice/systemd-nspawn@box.service";
    expect(&format!("{nspawn}/init.scope"), nspawn);
}

#[test]
fn a_name_with_a_prefix_is_certain_and_a_bare_id_is_not() {
    let is_certain = |path: &str| identify(&fill(path)).map(|it| it.is_certain);
    assert_eq!(is_certain("/system.slice/docker-{a}.scope"), Some(true));
    assert_eq!(is_certain("/docker/{a}"), Some(true));
    assert_eq!(is_certain("/my/parent/{a}"), Some(false));
    assert_eq!(is_certain("/default/{a}"), Some(false));
    assert_eq!(is_certain("/kubepods/pod{uid}/{a}"), Some(false));
    assert_eq!(is_certain("/kata_overhead/{a}"), Some(false));
}

/// Path components that the parsers recognize, and similar ones.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "docker", "kubepods", "burstable", "default", "lxc", "lxc.payload", "payload", "monitor",
    "supervisor", "pod", "pod1", "libpod-", "libpod_parent", ".slice", ".scope", "-pod.slice",
    "kubepods-pod.slice", "x.slice:docker:", ":::", "machine-", r"machine-\x.scope",
    r"machine-\x2", r"machine-\x2d.scope", "systemd-nspawn@.service", "docker-", "é", A,
    "kata_", "kata_overhead", "nomad", "slurmstepd.scope", "slurm", "uid_1", "job_1", "step_",
    "garden", "good", "ecs",
];

/// Any text, and paths of such components.
fn path() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(WORDS).prop_map(str::to_owned);
    let component = prop_oneof![known, ".*"];
    let joined = proptest::collection::vec(component, 0..6).prop_map(|it| it.join("/"));
    prop_oneof![joined.clone().prop_map(|it| format!("/{it}")), joined]
}

proptest! {
    #[test]
    fn no_path_panics_and_the_top_is_the_path_or_an_ancestor(path in path()) {
        if let Some(layout) = identify(&path) {
            let rest = path.strip_prefix(layout.top).expect("an ancestor");
            prop_assert!(rest.is_empty() || rest.starts_with('/'));
            prop_assert!(!layout.id.is_empty());
        }
    }
}
