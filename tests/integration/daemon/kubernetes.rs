//! The daemon in a container of the real runc, with the privileges that
//! `dist/kubernetes` grants and a cgroup namespace of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use probe_tests::{Daemon, Victim, conditions, kernel, requirements};
use serde_json::{Value, json};

use super::{Place, armed, peer, text};

/// A bundle, deleted with its container when the test ends.
struct Bundle {
    directory: tempfile::TempDir,
    name: String,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _deleted = Command::new("runc")
            .args(["delete", "--force", &self.name])
            .output();
    }
}

const MANIFEST: &str = include_str!("../../../dist/kubernetes/probe.yaml");

/// The first list of this key, which YAML writes as JSON does.
fn list(manifest: &str, key: &str) -> Vec<String> {
    let key = format!("{key}: ");
    let line = manifest.lines().find_map(|it| it.trim().strip_prefix(&key));
    let line = line.unwrap_or_else(|| panic!("no {key} in the manifest"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// A bundle that runs what the manifest runs, as the kubelet would set it up.
fn bundle(socket_directory: &Path) -> Bundle {
    let bundle = Bundle {
        directory: tempfile::tempdir().expect("a bundle"),
        name: format!("probe-test-{}-daemon", std::process::id()),
    };
    let path = bundle.directory.path();
    let spec = requirements::tool("runc")
        .args(["spec", "--bundle"])
        .arg(path)
        .status();
    assert!(spec.expect("runc is installed").success());
    let config = path.join("config.json");
    let spec = fs::read_to_string(&config).expect("runc wrote the file");
    let mut spec: Value = serde_json::from_str(&spec).expect("JSON");
    spec["process"] = process(MANIFEST);
    spec["root"]["readonly"] = json!(true);
    let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("a list");
    namespaces.retain(|it| it["type"] != "pid" && it["type"] != "cgroup");
    namespaces.push(json!({"type": "cgroup"}));
    let mounts = spec["mounts"].as_array_mut().expect("a list");
    mounts.retain(|it| it["destination"] != "/sys/fs/cgroup");
    mounts.extend(binds(socket_directory));
    fs::write(config, spec.to_string()).expect("the bundle is writable");
    let root = path.join("rootfs");
    fs::create_dir(&root).expect("the bundle is writable");
    for directory in ["lib", "lib64"] {
        symlink(format!("usr/{directory}"), root.join(directory)).expect("the bundle is writable");
    }
    bundle
}

fn process(manifest: &str) -> Value {
    let line = |it: &str| assert!(manifest.contains(it), "the manifest lacks '{it}'");
    assert_eq!(list(manifest, "drop"), ["ALL"]);
    let mut added = list(manifest, "add");
    if kernel::counts_bpf_as_locked_memory() {
        line("Before Linux 5.11, where BPF counts as locked memory, SYS_RESOURCE too");
        added.push("SYS_RESOURCE".to_owned());
    }
    let set: Vec<_> = added.iter().map(|it| format!("CAP_{it}")).collect();
    line("hostPID: true");
    line("runAsUser: 0");
    line("readOnlyRootFilesystem: true");
    line("allowPrivilegeEscalation: false");
    json!({
        "user": {"uid": 0, "gid": 0},
        "args": list(manifest, "command"),
        "cwd": "/",
        "capabilities": {"bounding": set, "effective": set, "permitted": set},
        "noNewPrivileges": true,
    })
}

/// The volumes, and in place of the image a program and the libraries that it needs.
fn binds(socket_directory: &Path) -> Vec<Value> {
    let probe = PathBuf::from(conditions::unrestricted(&[]).get_program());
    let bind = |from: &Path, to: &str, option: &str| {
        let options = ["rbind", option];
        json!({"destination": to, "type": "bind", "source": from, "options": options})
    };
    vec![
        bind(Path::new("/sys/fs/cgroup"), "/sys/fs/cgroup", "ro"),
        bind(socket_directory, "/run/probe", "rw"),
        bind(Path::new("/usr"), "/usr", "ro"),
        bind(&probe, "/probe", "ro"),
    ]
}

#[test]
#[ignore = "needs root"]
fn the_kubernetes_manifest_grants_enough_to_serve_the_node() {
    requirements::require_bpf();
    let place = Place::new();
    let bundle = bundle(place.directory.path());
    let mut runc = Command::new("runc");
    runc.args(["run", "--bundle", text(bundle.directory.path())]);
    let daemon = Daemon::start_in(runc.arg(&bundle.name), &place.socket);
    let status = fs::read_to_string(format!("/proc/{}/status", peer(&place.socket)));
    let status = status.expect("the daemon serves");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "no '{line}' in {status}");
    }
    let none = "CapPrm:\t0000000000000000";
    // Linux 5.10 lets only a process with CAP_BPF use a map.
    let is_kept =
        kernel::counts_bpf_as_locked_memory() && status.contains("CapPrm:\t0000008000000000");
    assert!(is_kept || status.contains(none), "no '{none}' in {status}");
    // A cgroup of the node outside the daemon's own cgroup, created after its start.
    let (cgroup, mut victim) = Victim::in_v2("node");
    let request = json!({"targets": [{"path": cgroup.path()}]});
    let wait = armed(&daemon, &request, 1);
    victim.kill();
    let exit = wait.next_of("exit");
    assert_eq!(exit["pid"], victim.pid(), "a pid of the node: {exit}");
    assert_eq!(wait.next_of("wait")["outcome"], "done");
    let _output = daemon.stop();
}
