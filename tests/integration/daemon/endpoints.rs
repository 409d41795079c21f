//! Every endpoint of a daemon that has dropped all the privileges that it can.

use std::path::Path;

use probe_tests::{Cgroup, Daemon, Deadline, Runc, Victim, conditions, requirements};
use rustix::process::Signal;
use serde_json::json;

use super::text;

/// Runs the daemon as a user that owns none of the processes and cgroups here.
const CONFINED: [&str; 2] = ["--user", "4242"];

#[test]
#[ignore = "needs root"]
fn a_confined_daemon_serves_every_endpoint() {
    let daemon = Daemon::start(&CONFINED);
    for target in [
        "/healthz",
        "/metrics",
        "/v1/info",
        "/v1/exits",
        "/v1/containers",
        "/v1/openapi.json",
    ] {
        let answer = daemon.get(target);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(!answer.text().is_empty() || target == "/v1/exits" || target == "/healthz");
    }
    assert_eq!(daemon.get("/v1/containers/no-such").status, 404);
    assert_eq!(daemon.get("/v1/info").json()["ready"], true);
}

#[test]
#[ignore = "needs root"]
fn a_confined_daemon_waits_for_processes_and_cgroups_of_other_users() {
    let daemon = Daemon::start(&CONFINED);
    let cgroup = Cgroup::v2("confined");
    for until in ["exited", "reaped"] {
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let pid = victim.pid();
        let targets = json!([{"pid": pid}, {"path": cgroup.path()}]);
        let body = json!({"targets": targets, "until": until});
        let wait = daemon.post("/v1/wait", &body).stream();
        let _armed = wait.next_of("armed");
        victim.signal(Signal::KILL);
        victim.wait();
        let exit = wait.next_of("exit");
        assert_eq!(exit["pid"], pid, "{exit}");
        // The name comes from /proc, the status from kernel memory.
        assert_eq!(exit["comm"], "victim", "{exit}");
        assert_eq!(exit["status"]["signal"], "SIGKILL", "{exit}");
        let verdict = wait.next_of("wait");
        assert_eq!(verdict["outcome"], "done", "{verdict}");
        assert_eq!(verdict["exact"], true, "{verdict}");
    }
    let exits = daemon.get("/v1/exits").stream().rest();
    let killed = exits
        .iter()
        .filter(|it| it["status"]["signal"] == "SIGKILL");
    assert!(killed.count() >= 2, "{exits:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_confined_daemon_streams_events() {
    let daemon = Daemon::start(&CONFINED);
    let answer = daemon.get("/v1/events");
    assert_eq!(answer.status, 200);
    let events = answer.stream();
    let mut victim = Victim::spawn(&["pause"], None);
    victim.signal(Signal::KILL);
    victim.wait();
    while events.next_of("exit")["pid"] != victim.pid() {}
}

/// A daemon that never was root, with these capabilities and a directory of its own.
fn start_with(directory: &Path, capabilities: &str, more: &[&str]) -> Daemon {
    std::os::unix::fs::chown(directory, Some(4242), Some(4242)).expect("root may change the owner");
    let socket = directory.join("probe.sock");
    let probe = conditions::unrestricted(&["daemon", "--socket", text(&socket)]);
    let mut command = conditions::with_locked_memory("setpriv");
    command
        .args(["--reuid", "4242", "--regid", "4242", "--clear-groups"])
        .args(["--inh-caps", &format!("-all,{capabilities}")])
        .args(["--ambient-caps", capabilities])
        .arg(probe.get_program())
        .args(probe.get_args())
        .args(more);
    Daemon::start_in(&mut command, &socket)
}

#[test]
#[ignore = "needs root"]
fn cap_dac_read_search_lets_the_daemon_read_container_state_of_root() {
    requirements::require_bpf();
    // The state directory exists when the daemons start, and has mode 0700.
    let earlier = Runc::in_host_pids("earlier", "read -r line");
    let directories = [Daemon::directory(), Daemon::directory()];
    let [first, second] = [&directories[0], &directories[1]].map(tempfile::TempDir::path);
    let more = "+bpf,+perfmon,+dac_read_search";
    let with = start_with(first, more, &["--runtime-names"]);
    let without = start_with(second, "+bpf,+perfmon", &["--runtime-names"]);
    let later = Runc::in_host_pids("later", "read -r line");
    for container in [&earlier, &later] {
        let target = format!("/v1/containers/{}", container.name());
        Deadline::start().until("the container is known", || with.get(&target).status == 200);
        assert_eq!(with.get(&target).json()["runtime"], "runc");
        assert_eq!(without.get(&target).status, 404);
    }
    let stderr = without.stop().stderr;
    assert!(stderr.contains("CAP_DAC_READ_SEARCH"), "{stderr}");
}
