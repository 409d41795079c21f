//! Containers that are mistaken easily: for another one, or for one that has stopped. All of
//! them run in the real runc.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use probe_tests::{Output, Runc, conditions, probe, probe_in};
use probe_user::unstable::cgroup::mounts::{Mount, Mounts};
use serde_json::json;
use tempfile::TempDir;

const SCRIPT: &str = "sleep 600 & exec sleep 601";

/// An id of a container engine.
const ID: &str = "4f5c2d1e0b9a8877665544332211ffeeddccbbaa99887766554433221100abcd";

fn kill(container: &str, roots: &[&Path]) -> Output {
    let mut args = vec!["kill", "--json", "-t", "30", "--container", container];
    for root in roots {
        args.extend(["--runtime-root", root.to_str().expect("UTF-8")]);
    }
    probe(&args)
}

fn assert_status(container: &Runc, status: &str) {
    assert_eq!(
        container.state("status"),
        json!(status),
        "{}",
        container.name()
    );
}

#[test]
#[ignore = "needs root"]
fn one_id_in_two_runtime_roots_is_two_containers() {
    let roots = TempDir::new().expect("a directory");
    let [one, other] = ["one", "other"].map(|name| roots.path().join(name));
    let [first, second] = [&one, &other].map(|root| {
        fs::create_dir(root).expect("our own directory");
        let name = root.file_name().and_then(|it| it.to_str()).expect("UTF-8");
        let cgroup = format!("/probe-test-{}-{name}", std::process::id());
        Runc::placed("twin", SCRIPT, root, &cgroup)
    });
    let name = first.name();
    assert_eq!(name, second.name());
    let output = kill(name, &[&one, &other]);
    let places = [&one, &other].map(|it| format!("state in {}", it.display()));
    output.assert_refused(2, &[name, &places[0], &places[1]]);
    assert_status(&first, "running");
    assert_status(&second, "running");
    let output = kill(name, &[&one]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_status(&first, "stopped");
    assert_status(&second, "running");
    let output = kill(&format!("other/{name}"), &[&one, &other]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_status(&second, "stopped");
}

#[test]
#[ignore = "needs root"]
fn a_container_in_a_cgroup_named_like_another_container_is_killed() {
    for name in [
        "runc-other.scope",
        "crun-other.scope",
        "lxc.payload.other",
        &format!("libpod-{ID}"),
        &format!("docker-{ID}.scope"),
    ] {
        let root = TempDir::new().expect("a directory");
        let cgroup = format!("/{name}");
        let container = Runc::placed("disguised", SCRIPT, root.path(), &cgroup);
        let output = kill(container.name(), &[root.path()]);
        assert_eq!(output.code, Some(0), "{name}: {output:#?}");
        let verdict = output.verdict("done");
        let target = &verdict["targets"][0];
        assert_eq!(target["container"]["id"], container.name(), "{output:#?}");
        assert_eq!(target["cgroup"]["path"], cgroup, "{output:#?}");
        assert_status(&container, "stopped");
    }
}

#[test]
#[ignore = "needs root"]
fn a_paused_container_is_killed_and_thawed_so_that_runc_deletes_it() {
    let root = TempDir::new().expect("a directory");
    let cgroup = format!("/probe-test-{}-paused", std::process::id());
    let container = Runc::placed("paused", SCRIPT, root.path(), &cgroup);
    let paused = container.run("pause");
    assert!(paused.status.success(), "{paused:?}");
    assert_status(&container, "paused");
    let output = kill(container.name(), &[root.path()]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let deleted = container.run("delete");
    assert!(deleted.status.success(), "{deleted:?}");
}

/// The file that freezes the cgroup with this path, and its values for frozen and thawed.
fn freezer(cgroup: &str) -> (PathBuf, &'static str, &'static str) {
    let mounts = Mounts::read().expect("cgroup mounts");
    let has_freezer = |it: &&Mount| it.controllers.iter().any(|it| it == "freezer");
    let (mount, file) = match mounts.iter().find(has_freezer) {
        Some(v1) => (v1, ("freezer.state", "FROZEN", "THAWED")),
        None => (
            mounts.of_hierarchy(0).expect("v2"),
            ("cgroup.freeze", "1", "0"),
        ),
    };
    let directory = mount.mount_point.join(cgroup.trim_start_matches('/'));
    (directory.join(file.0), file.1, file.2)
}

#[test]
#[ignore = "needs root"]
fn a_container_without_processes_is_not_stopped_while_its_cgroup_is_frozen() {
    let root = TempDir::new().expect("a directory");
    let cgroup = format!("/probe-test-{}-frozen", std::process::id());
    let container = Runc::placed("frozen", SCRIPT, root.path(), &cgroup);
    let output = kill(container.name(), &[root.path()]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let (file, frozen, thawed) = freezer(&cgroup);
    fs::write(&file, frozen).expect("root may freeze a cgroup");
    let deleted = container.run("delete");
    let root_arg = root.path().to_str().expect("UTF-8");
    let name = container.name();
    let wait = |timeout| {
        probe(&[
            "wait",
            "-t",
            timeout,
            "--container",
            name,
            "--runtime-root",
            root_arg,
        ])
    };
    let output = wait("0.5");
    assert!(
        !deleted.status.success(),
        "runc deletes no paused container: {deleted:?}"
    );
    assert_eq!(output.code, Some(3), "{output:#?}");
    let hint = format!("hint: thaw it: echo {thawed} > ");
    assert!(output.stderr.contains(&hint), "{output:#?}");
    fs::write(&file, thawed).expect("root may thaw a cgroup");
    let output = wait("30");
    assert_eq!(output.code, Some(0), "{output:#?}");
    let deleted = container.run("delete");
    assert!(deleted.status.success(), "{deleted:?}");
}

#[test]
#[ignore = "needs root"]
fn a_container_whose_state_cannot_be_read_is_not_gone() {
    let root = TempDir::new().expect("a directory");
    let state = root.path().join("broken");
    fs::create_dir(&state).expect("our own directory");
    fs::write(state.join("state.json"), "").expect("our own directory");
    let root = root.path().to_str().expect("UTF-8");
    let line = [
        "wait",
        "-e",
        "-t",
        "0",
        "--runtime-root",
        root,
        "--container",
    ];
    let output = probe(&[&line[..], &["broken"]].concat());
    output.assert_refused(4, &["no readable state in", "broken", "hint: "]);
    let output = probe(&[&line[..], &["another"]].concat());
    assert_eq!(output.code, Some(0), "{output:#?}");
    // A plain user may not read the state of root's runc.
    let script = "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 700 /run/runc && exec \"$@\"";
    let probe = conditions::without_privilege(&["wait", "-e", "-t", "0", "--container", "web"]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(probe.get_program()).args(probe.get_args());
    let output = probe_in(&mut command);
    output.assert_refused(4, &["cannot read /run/runc", "hint: "]);
}
