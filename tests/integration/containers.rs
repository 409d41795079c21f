//! Containers: the cgroup layouts of runtimes, and a real container of runc.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Probe, Runc, Victim, probe, record, requirements};
use serde_json::{Value, json};

/// An id of 64 hexadecimal digits.
const ID: &str = "4f5c2d1e0b9a8877665544332211ffeeddccbbaa99887766554433221100abcd";

/// The pod in the paths below.
const POD: &str = "0e4a1b2c-3d4e-5f60-7182-93a4b5c6d7e8";

/// Layouts from the documentation of these runtimes and from real machines: path below the
/// cgroup of the test, runtime, id, and pod if there is one.
const LAYOUTS: &str = "\
docker/ID docker ID
docker/ID/made-inside docker ID
system.slice/docker-ID.scope docker ID
system.slice/docker-ID.scope/init.scope docker ID
libpod_parent/libpod-ID podman ID
machine.slice/libpod-ID.scope podman ID
machine.slice/libpod-ID.scope/container podman ID
system.slice/nerdctl-ID.scope containerd ID
system.slice/cri-containerd-ID.scope containerd ID
POD_SLICE/cri-containerd-ID.scope containerd ID POD
POD_SLICE/crio-ID.scope cri-o ID POD
POD_SLICE/docker-ID.scope docker ID POD
kubepods/besteffort/podPOD/ID containerd ID POD
kubepods/besteffort/podPOD/crio-ID cri-o ID POD
system.slice/runc-a-name.scope runc a-name
system.slice/crun-a-name.scope crun a-name
lxc/a-name lxc a-name
lxc.payload.a-name lxc a-name
lxc.payload.a-name/system.slice/x.service lxc a-name
machine.slice/systemd-nspawn@a-name.service/payload systemd-nspawn a-name
machine.slice/machine-a-name.scope systemd-nspawn a-name
kubepods/burstable/podPOD/kata_ID containerd ID POD
kata_overhead/ID containerd ID
nomad.slice/share.slice/POD.web.scope nomad POD.web
system.slice/slurmstepd.scope/job_981/step_batch/user/task_0 slurm 981.batch
garden/good/POD garden POD";

fn layouts() -> String {
    let pod = POD.replace('-', "_");
    let slice =
        format!("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice");
    let layouts = LAYOUTS.replace("POD_SLICE", &slice);
    layouts.replace("POD", POD).replace("ID", ID)
}

/// Cgroups without a container.
const NO_CONTAINERS: [&str; 5] = [
    "docker",
    "system.slice/docker.service",
    "lxc.monitor.a-name",
    "kubepods.slice/kubepods-burstable.slice",
    "user.slice/user-1000.slice/session-1.scope",
];

/// The container in the exit record of a process in this cgroup.
fn container_at(path: &str, parent: &Cgroup, trace: &mut Probe) -> Value {
    let top = parent.sub(&format!("at-{}", path.replace('/', "-")));
    let above = Path::new(path).parent().expect("relative");
    fs::create_dir_all(top.path().to_owned() + "/" + above.to_str().expect("UTF-8"))
        .unwrap_or_else(|error| panic!("cannot make {path}: {error}"));
    let cgroup = top.sub(path);
    let mut victim = Victim::start(&["exit", "0"], Some(&cgroup));
    victim.wait();
    let exit = trace.exit_of(victim.pid());
    assert_eq!(exit["cgroup"]["path"], cgroup.name());
    exit["container"].clone()
}

#[test]
#[ignore = "needs root"]
fn the_container_of_each_cgroup_layout_is_recognised() {
    for parent in [Cgroup::v2("layouts"), Cgroup::v1("pids", "layouts")] {
        let mut trace = Probe::trace(&["--cgroup", parent.path()]);
        for layout in layouts().lines() {
            let mut words = layout.split(' ');
            let path = words.next().expect("a path");
            let expected: [Option<&str>; 3] = [(); 3].map(|()| words.next());
            let container = container_at(path, &parent, &mut trace);
            let reported = json!([container["runtime"], container["id"], container["pod_uid"]]);
            assert_eq!(reported, json!(expected), "{path}");
        }
        for path in NO_CONTAINERS {
            let container = container_at(path, &parent, &mut trace);
            assert_eq!(container, Value::Null, "{path}");
        }
    }
}

/// A cgroup as docker makes it, with a unique container id.
fn docker(parent: &Cgroup, number: u8) -> (String, Cgroup) {
    let id = format!("{:056x}{number:08x}", parent.id())
        .chars()
        .rev()
        .collect::<String>();
    let docker = parent.file("docker");
    fs::create_dir_all(docker).expect("a cgroup");
    let cgroup = parent.sub(&format!("docker/{id}"));
    (id, cgroup)
}

#[test]
#[ignore = "needs root"]
fn a_container_is_traced_by_its_id_or_a_prefix_of_it() {
    for parent in [Cgroup::v2("by-id"), Cgroup::v1("pids", "by-id")] {
        let ((id, wanted), (_, other)) = (docker(&parent, 1), docker(&parent, 2));
        for name in [id.as_str(), &id[..12], &id[..60]] {
            let trace = Probe::trace(&["--container", name]);
            Victim::start(&["exit", "0"], Some(&other)).wait();
            let inside = wanted.sub("made-inside");
            let last = Victim::start(&["exit", "0"], Some(&inside));
            assert_eq!(container_ids_until(trace, last), [id.as_str()], "{name}");
        }
    }
}

/// The container ids of all records up to the exit of this process.
fn container_ids_until(mut trace: Probe, mut last: Victim) -> Vec<String> {
    last.wait();
    trace.exit_of(last.pid());
    let reported = trace.finish();
    let ids = reported
        .exits()
        .map(|exit| exit["container"]["id"].as_str().expect("an id"));
    ids.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root"]
fn an_ambiguous_id_prefix_is_refused_with_both_ids() {
    let parent = Cgroup::v2("ambiguous");
    let ids =
        ["a", "b"].map(|last| format!("{:0<63}{last}", format!("{:x}", parent.id() + (1 << 60))));
    fs::create_dir(parent.file("docker")).expect("a cgroup");
    let _cgroups = ids.each_ref().map(|id| parent.sub(&format!("docker/{id}")));
    let output = probe(&["trace", "--container", &ids[0][..20]]);
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(2), ""),
        "{output:#?}"
    );
    for word in ["hint: ", "docker"] {
        assert!(output.stderr.contains(word), "{output:#?}");
    }
    assert_eq!(output.stderr.matches("docker ").count(), 2, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_runc_container_is_traced_by_its_name() {
    requirements::require_bpf();
    let mut container = Runc::in_own_pids("by-name", "read go; sh -c 'exit 5'; exit 7");
    let init = container.state("pid");
    let mut trace = Probe::trace(&["--container", container.name()]);
    container.release();
    let exit = trace.wait_for(|line| record::is_exit(line) && line["pid"] == init);
    assert_eq!(record::wait_status(&exit), 7 << 8);
    assert_eq!(exit["container"]["runtime"], "runc", "{exit}");
    assert_eq!(exit["container"]["id"], container.name());
    assert_eq!(exit["ns"]["pid"], 1);
    let reported = trace.finish();
    let statuses: Vec<_> = reported.exits().map(record::wait_status).collect();
    assert_eq!(statuses, [5 << 8, 7 << 8], "{reported:#?}");
    assert_eq!(reported.lines[0]["ppid"], init);
    assert_eq!(reported.lines[0]["container"], exit["container"]);
}

#[test]
#[ignore = "needs root"]
fn runc_kill_is_the_killer() {
    requirements::require_bpf();
    let container = Runc::in_own_pids("killed", "read go; exit 0");
    let init = container.state("pid");
    let mut trace = Probe::trace(&["--container", container.name()]);
    let killed = Command::new("runc")
        .args(["kill", container.name(), "KILL"])
        .status();
    assert!(killed.expect("runc runs").success());
    let exit = trace.wait_for(|line| record::is_exit(line) && line["pid"] == init);
    assert_eq!(record::wait_status(&exit), 9);
    let name = exit["killed_by"]["comm"].as_str();
    let name = name.unwrap_or_else(|| panic!("no killer in {exit}"));
    assert!(name.starts_with("runc"), "{exit}");
    assert_eq!(exit["killed_by"]["via"], "kill");
}
