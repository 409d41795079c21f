//! A container of runc without a cgroup in its state. A rootless engine that may not make cgroups
//! leaves such a state. If the container shares the host's pid namespace, other processes outlive
//! its init process.

use std::{fs, path::Path};

use probe_tests::{Daemon, Deadline, Runc, Waiting, is_alive, kill, probe, requirements};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Container {
    runc: Runc,
    root: TempDir,
    init: u32,
    child: u32,
    /// The state that runc wrote, by which runc finds the processes when it deletes them.
    state: Vec<u8>,
}

impl Container {
    fn new(label: &str, has_own_pids: bool) -> Self {
        let root = TempDir::new().expect("a directory");
        let cgroup = format!("/probe-test-{}-{label}", std::process::id());
        let script = "sleep 600 & exec sleep 601";
        let runc = Runc::configured(label, script, root.path(), |spec| {
            spec["linux"]["cgroupsPath"] = json!(cgroup);
            let namespaces = spec["linux"]["namespaces"].as_array_mut();
            let namespaces = namespaces.expect("an array");
            namespaces.retain(|it| has_own_pids || it["type"] != "pid");
        });
        let file = state_file(root.path(), &runc);
        let state = fs::read(&file).expect("runc wrote it");
        let mut changed: Value = serde_json::from_slice(&state).expect("JSON");
        changed["cgroup_paths"] = json!({});
        fs::write(file, changed.to_string()).expect("our own root");
        let pid = runc.state("pid").as_u64().and_then(|it| it.try_into().ok());
        let init: u32 = pid.expect("a pid");
        let child = || {
            let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children"));
            children.ok()?.trim().parse().ok()
        };
        let mut found = None;
        Deadline::start().until("the script has a child", || {
            found = child();
            found.is_some()
        });
        Self {
            init,
            child: found.expect("the loop ended"),
            runc,
            root,
            state,
        }
    }

    fn args<'a>(&'a self, before: &[&'a str]) -> Vec<&'a str> {
        let root = self.root.path().to_str().expect("UTF-8");
        [
            before,
            &["--runtime-root", root, "--container", self.runc.name()],
        ]
        .concat()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _written = fs::write(state_file(self.root.path(), &self.runc), &self.state);
    }
}

fn state_file(root: &Path, runc: &Runc) -> std::path::PathBuf {
    root.join(runc.name()).join("state.json")
}

#[test]
#[ignore = "needs root"]
fn all_processes_of_a_container_without_a_cgroup_are_shown_and_killed() {
    let container = Container::new("kill", false);
    let pids = [container.init, container.child];
    let shown = probe(&container.args(&["ps", "--json"]));
    let mut shown: Vec<_> = shown.json().iter().map(|it| it["pid"].clone()).collect();
    shown.sort_by_key(Value::as_u64);
    assert_eq!(shown, pids.map(|it| json!(it)));
    let output = probe(&container.args(&["kill", "--json", "-t", "30"]));
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(output.verdict("done")["exact"], json!(false));
    assert!(
        output.stderr.contains("no cgroup of its own"),
        "{output:#?}"
    );
    assert!(!pids.into_iter().any(is_alive), "{output:#?}");
    let shown = probe(&container.args(&["ps"]));
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    assert!(
        shown.stderr.contains("has no known processes"),
        "{shown:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_knows_only_the_init_process_makes_no_verdict_exact() {
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().to_str().expect("UTF-8");
    let container = Container::new("daemon", false);
    let args = ["kill", "--json", "-t", "30", "--socket", socket];
    let verdict = probe(&container.args(&args)).verdict("done");
    assert_eq!(verdict["exact"], json!(false), "{verdict}");
    let backends = verdict["backends"].as_array().expect("an array");
    assert!(backends.contains(&json!("daemon")), "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_container_without_a_cgroup_is_not_stopped_by_the_death_of_its_init_process() {
    let container = Container::new("wait", false);
    let wait = Waiting::armed(&container.args(&["-t", "5"])[..]);
    kill(container.init);
    let output = wait.finish();
    assert_eq!(output.code, Some(3), "{output:#?}");
    let verdict = output.verdict("timeout");
    assert_eq!(verdict["survivors"][0]["pid"], json!(container.child));
}

#[test]
#[ignore = "needs root"]
fn a_container_without_a_cgroup_ends_with_the_init_process_of_its_pid_namespace() {
    let container = Container::new("own", true);
    let output = probe(&container.args(&["kill", "--json", "--records", "-t", "30"]));
    assert_eq!(output.code, Some(0), "{output:#?}");
    let verdict = output.verdict("done");
    assert_eq!(verdict["exact"], json!(true), "{output:#?}");
    if requirements::has_bpf() {
        assert_eq!(verdict["exits"], json!(2), "{output:#?}");
    }
    assert!(!is_alive(container.child), "{output:#?}");
}
