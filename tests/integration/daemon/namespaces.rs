//! Clients in other namespaces, in which pids and paths mean something else.

use std::{path::Path, process::Command};

use probe_tests::{Cgroup, Victim, requirements, words};
use serde_json::{Value, json};

use super::{container, text, visibility::open_to_all};

/// Sends a request with curl from another pid namespace; returns status and body.
fn fetch(socket: &Path, target: &str, body: Option<&Value>) -> (u16, String) {
    let _is_installed = requirements::tool("curl");
    let mut command = Command::new("unshare");
    command.args(words("--pid --fork curl --silent --show-error"));
    command.args(["--write-out", "%{http_code}", "--unix-socket"]);
    command.arg(socket).arg(format!("http://probe{target}"));
    if let Some(body) = body {
        command.args(["--json", &body.to_string()]);
    }
    let output = command.output().expect("unshare is installed");
    assert!(output.status.success(), "{output:?}");
    let mut answer = String::from_utf8(output.stdout).expect("JSON");
    let status = answer.split_off(answer.len() - 3);
    (status.parse().expect("three digits"), answer)
}

#[test]
#[ignore = "needs root"]
fn a_client_in_another_pid_namespace_may_name_targets_only_by_identity() {
    let daemon = open_to_all();
    let wait = |request: &Value| fetch(daemon.socket(), "/v1/wait", Some(request));
    let get = |target: &str| fetch(daemon.socket(), target, None);
    let above = Cgroup::v2("elsewhere");
    let (id, cgroup) = container(&above);
    let mut victim = Victim::paused(&cgroup);
    let pid = victim.pid();
    let refused = [
        json!({"pid": pid}),
        json!({"process": {"pid": pid, "start_ticks": 1}}),
        json!({"path": cgroup.path()}),
    ];
    for target in refused {
        let request = json!({"targets": [target], "timeout_ms": 0});
        let (status, body) = wait(&request);
        assert_eq!(status, 400, "{target}: {body}");
        assert!(body.contains("another pid namespace"), "{body}");
    }
    for query in [format!("cgroup={}", cgroup.path()), format!("pid={pid}")] {
        for path in ["exits", "events"] {
            let (status, body) = get(&format!("/v1/{path}?{query}"));
            assert_eq!(status, 400, "{query}: {body}");
        }
    }
    // Root of another namespace has no more rights than an unrelated user.
    let (status, body) = get(&format!("/v1/containers/{id}"));
    assert_eq!(status, 404, "{body}");
    let request = json!({"targets": [{"container": id}]});
    assert_eq!(wait(&request).0, 404);

    let identity = json!({"cgroup": {"hierarchy": 0, "id": cgroup.id()}});
    let request = json!({"targets": [identity], "timeout_ms": 0});
    let (status, body) = wait(&request);
    assert_eq!(status, 200, "{body}");
    for word in ["\"live\":null", "timeout"] {
        assert!(body.contains(word), "no {word} in {body}");
    }
    victim.kill();
    let (status, body) = wait(&request);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("already"), "{body}");
    let (status, body) = get("/v1/exits");
    assert_eq!(status, 200, "{body}");
    assert!(!body.contains(&format!("\"pid\":{pid},")), "{body}");
    let (_, metrics) = get("/metrics");
    assert!(!metrics.contains(&id), "{metrics}");
}

#[test]
#[ignore = "needs root"]
fn a_path_that_resolves_differently_for_the_client_is_refused() {
    let daemon = open_to_all();
    let cgroup = Cgroup::v2("led");
    let inner = cgroup.sub("inner");
    let mount = Path::new(cgroup.path()).parent().expect("a cgroup mount");
    let ask = |namespaces: &[&str], before: &str, path: &Path| {
        let request = json!({"targets": [{"path": path}]}).to_string();
        let socket = text(daemon.socket());
        let curl = format!("exec curl --silent --unix-socket {socket} --json '{request}'");
        let script = format!("{before} && {curl} http://probe/v1/wait");
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["sh", "-c", &script]);
        let output = command.output().expect("unshare is installed");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("JSON")
    };
    for namespaces in [&["--mount"][..], &["--cgroup"], &["--mount", "--cgroup"]] {
        let answer = ask(namespaces, "true", Path::new(inner.path()));
        assert!(answer.contains("\"already\""), "{namespaces:?}: {answer}");
    }
    let bind = format!("mount --bind {} {}", cgroup.path(), text(mount));
    // The kernel refuses to mount the hierarchy on itself, so a tmpfs is between.
    let remount = format!(
        "echo $$ > {} && mount -t tmpfs none {1} && unshare --cgroup mount -t cgroup2 none {1}",
        text(&cgroup.file("cgroup.procs")),
        text(mount)
    );
    for before in [bind, remount] {
        let answer = ask(&["--mount"], &before, &mount.join("inner"));
        for word in ["leads to another directory", "\"status\":400"] {
            assert!(answer.contains(word), "{before}: {answer}");
        }
    }
}
