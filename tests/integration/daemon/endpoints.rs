//! Every endpoint of a daemon that has dropped all the privileges that it can.

use std::os::unix::fs::chown;

use probe_tests::{
    Cgroup, Daemon, Deadline, Runc, Victim, and_probe, assert_fields, conditions, requirements,
};
use serde_json::{Value, json};

use super::Place;

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
        let mut victim = Victim::paused(&cgroup);
        let pid = victim.pid();
        let targets = json!([{"pid": pid}, {"path": cgroup.path()}]);
        let body = json!({"targets": targets, "until": until});
        let wait = daemon.post("/v1/wait", &body).stream();
        let _armed = wait.next_of("armed");
        victim.kill();
        let exit = wait.next_of("exit");
        // The name comes from /proc, the status from kernel memory.
        assert_fields(&exit, &json!({"pid": pid, "comm": "victim"}));
        assert_fields(&exit["status"], &json!({"signal": "SIGKILL"}));
        let done = json!({"outcome": "done", "exact": true});
        assert_fields(&wait.next_of("wait"), &done);
    }
    let exits = daemon.get("/v1/exits").stream().rest();
    let is_killed = |it: &&Value| it["status"]["signal"] == "SIGKILL";
    assert!(exits.iter().filter(is_killed).count() >= 2, "{exits:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_confined_daemon_streams_events() {
    let daemon = Daemon::start(&CONFINED);
    let answer = daemon.get("/v1/events");
    assert_eq!(answer.status, 200);
    let events = answer.stream();
    let mut victim = Victim::spawn(&["pause"], None);
    victim.kill();
    while events.next_of("exit")["pid"] != victim.pid() {}
}

/// A daemon that never was root, with these capabilities and a directory of its own.
fn start_with(place: &Place, capabilities: &str) -> Daemon {
    chown(place.directory.path(), Some(4242), Some(4242)).expect("root may change the owner");
    let limited = |args: &[&str]| {
        let mut command = conditions::with_locked_memory("setpriv");
        command.args(["--reuid", "4242", "--regid", "4242", "--clear-groups"]);
        command.args(["--inh-caps", &format!("-all,{capabilities}")]);
        command.args(["--ambient-caps", capabilities]);
        and_probe(command, args)
    };
    place.serve_in(limited, "--runtime-names")
}

#[test]
#[ignore = "needs root"]
fn cap_dac_read_search_lets_the_daemon_read_container_state_of_root() {
    requirements::require_bpf();
    // The state directory exists when the daemons start, and has mode 0700.
    let earlier = Runc::in_host_pids("earlier", "read -r line");
    let places = [Place::new(), Place::new()];
    let with = start_with(&places[0], "+bpf,+perfmon,+dac_read_search");
    let without = start_with(&places[1], "+bpf,+perfmon");
    let later = Runc::in_host_pids("later", "read -r line");
    for container in [&earlier, &later] {
        let target = format!("/v1/containers/{}", container.name());
        Deadline::start().until("the container is known", || with.get(&target).status == 200);
        assert_eq!(with.get(&target).json()["runtime"], "runc");
        assert_eq!(without.get(&target).status, 404);
    }
    without.stop().assert_ended(0, &["CAP_DAC_READ_SEARCH"]);
}
