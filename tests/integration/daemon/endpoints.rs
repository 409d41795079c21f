//! Every endpoint, asked of a daemon that has given up what it can.

use std::path::Path;

use probe_tests::{Cgroup, Daemon, Deadline, Runc, Victim, conditions, requirements};
use rustix::process::Signal;
use serde_json::json;

use super::text;

/// A user that nothing here belongs to.
const CONFINED: [&str; 2] = ["--user", "4242"];

#[test]
#[ignore = "needs root"]
fn every_document_is_there() {
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
    assert_eq!(daemon.get("/v1/containers/nobodys").status, 404);
    assert_eq!(daemon.get("/v1/info").json()["ready"], true);
}

#[test]
#[ignore = "needs root"]
fn processes_and_cgroups_of_other_users_are_waited_for() {
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
        // From their /proc, and from kernel memory.
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
fn events_come() {
    let daemon = Daemon::start(&CONFINED);
    let answer = daemon.get("/v1/events");
    assert_eq!(answer.status, 200);
    let events = answer.stream();
    let mut victim = Victim::spawn(&["pause"], None);
    victim.signal(Signal::KILL);
    victim.wait();
    while events.next_of("exit")["pid"] != victim.pid() {}
}

/// One that never was root, with these capabilities, in a directory of its own.
fn start_with(directory: &Path, capabilities: &str, more: &[&str]) -> Daemon {
    std::os::unix::fs::chown(directory, Some(4242), Some(4242)).expect("given");
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
fn state_that_only_root_may_read_is_read_with_one_more_capability() {
    requirements::require_bpf();
    // The directory is there when the daemons start, and has mode 0700.
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
    let said = without.stop().stderr;
    assert!(said.contains("CAP_DAC_READ_SEARCH"), "{said}");
}
