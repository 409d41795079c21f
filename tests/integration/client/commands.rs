//! `trace`, `last` and `ps` with a working daemon.

use std::{fs, process::Command};

use probe_tests::{
    Cgroup, Daemon, Deadline, Output, Probe, Victim, assert_fields, conditions, record, run,
    run_in, sorted_pids, words,
};
use serde_json::{Value, json};

use super::working_daemon::{pids, populated, socket};

/// The pids of the lines that `probe ps` prints.
fn listed(output: &Output) -> Vec<u32> {
    sorted_pids(&Value::Array(output.json()))
}

#[test]
#[ignore = "needs root"]
fn a_trace_from_the_daemon_equals_a_trace_of_the_clients_own_programs() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("trace");
    let trace = |socket: &str| {
        let line = format!("-v --socket {socket} --cgroup {}", cgroup.path());
        Probe::trace(&words(&line))
    };
    let (mut trace, mut own) = (trace(socket(&daemon)), trace("/no/such/socket"));
    let mut victim = Victim::start(&["exit", "3"], Some(&cgroup));
    victim.wait();
    let pid = victim.pid();
    let (mut received, expected) = (trace.exit_of(pid), own.exit_of(pid));
    // The daemon and the client have programs of their own, which read the clock and the
    // resource usage at different times.
    for field in ["time", "boottime_ns", "age_ns", "usage"] {
        let are_null = [&received, &expected].map(|it| it[field].is_null());
        assert_eq!(are_null[0], are_null[1], "{field} of {received}");
        received[field] = expected[field].clone();
    }
    received["task"]["age_ns"] = expected["task"]["age_ns"].clone();
    assert_eq!(received, expected);
    let stderr = trace.finish().stderr;
    assert!(stderr.iter().any(|it| it.contains("(daemon)")));
}

#[test]
#[ignore = "needs root"]
fn last_prints_exits_of_a_removed_cgroup() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("last");
    let path = cgroup.path().to_owned();
    let mut victims =
        [["exit", "0"], ["exit", "7"]].map(|args| Victim::start(&args, Some(&cgroup)));
    let pids = pids(&victims);
    assert_eq!(victims.each_mut().map(Victim::wait), [0, 7 << 8]);
    let failed = victims[1].pid();
    drop(cgroup);
    let socket = socket(&daemon);
    let last = |more: &str| run(&format!("last --json --socket {socket} {more}"));
    let of_cgroup = |more: &str| last(&format!("--cgroup {path} {more}")).exits();
    assert_eq!(of_cgroup(""), pids);
    assert_eq!(of_cgroup("--failed"), [failed]);
    assert_eq!(of_cgroup("-n 1").len(), 1);
    assert_eq!(of_cgroup("--since 0"), [0; 0]);
    assert_eq!(last(&format!("--since 1h {failed}")).exits(), [failed]);
    assert_eq!(last("--container no-such").code, Some(4));
}

#[test]
#[ignore = "needs root"]
fn ps_prints_a_tree_without_a_daemon() {
    let (cgroup, _below, victims) = populated("tree");
    let ps = |more: &str| run(&format!("ps --socket /no/such {more}"));
    let of_cgroup = format!("--cgroup {}", cgroup.path());
    assert_eq!(listed(&ps(&format!("--json {of_cgroup}"))), pids(&victims));
    let own = std::process::id();
    let lines = ps(&format!("--json {own}")).json();
    assert_fields(&lines[0], &json!({"pid": own, "depth": 0}));
    for victim in &victims {
        let is_it = |line: &&Value| record::pid(line) == victim.pid();
        let line = lines.iter().find(is_it).expect("a child of the test");
        assert_fields(line, &json!({"depth": 1, "ppid": own}));
    }
    assert_eq!(ps("--json --cgroup no/such/cgroup").code, Some(4));
    assert_eq!(ps("--json 4194304").code, Some(4));
    let human = ps(&of_cgroup);
    for word in ["PID", "victim"] {
        assert!(human.stdout.contains(word), "{human:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn ps_lists_containers_with_and_without_a_daemon() {
    let daemon = Daemon::start(&[]);
    // The name that docker gives a cgroup.
    let id = "0123456789abcdef".repeat(4);
    let parent = Cgroup::v2("containers");
    let docker = parent.sub("docker");
    let cgroup = docker.sub(&id);
    let victims = [0, 1].map(|_| Victim::paused(&cgroup));
    for (socket, history) in [(socket(&daemon), Some(0)), ("/no/such", None)] {
        let ps = format!("ps --json --socket {socket}");
        let line = || {
            let lines = run(&ps).json();
            lines.into_iter().find(|line| line["id"] == id.as_str())
        };
        let mut found = None;
        Deadline::start().until("the container is listed with both processes", || {
            found = line();
            found.as_ref().is_some_and(|it| it["live"] == victims.len())
        });
        let line = found.expect("the container is listed");
        assert_eq!(line["recent_exits"].as_u64(), history, "{line}");
        let tree = run(&format!("{ps} --container {id}"));
        assert_eq!(listed(&tree), pids(&victims), "{socket}");
    }
    let line = format!("ps --json --socket /no/such --container {id}");
    let unprivileged = run_in(conditions::without_privilege, &line);
    assert_eq!(unprivileged.json().len(), 2);
}

/// The age of a process that is older than the daemon, and a name that it chose later, are known.
#[test]
#[ignore = "needs root"]
fn ps_shows_present_names_and_the_ages_of_processes_from_before_the_daemon() {
    const SCRIPT: &str = "read -r line; printf renamed > /proc/$$/comm; read -r line";
    let id = "fedcba9876543210".repeat(4);
    let parent = Cgroup::v2("ages");
    let cgroup = parent.sub(&format!("docker-{id}.scope"));
    let mut command = Command::new("sh");
    let mut old = Victim::spawn_command(command.args(["-c", SCRIPT]), Some(&cgroup));
    let daemon = Daemon::start(&[]);
    let young = Victim::paused(&cgroup);
    let ps = format!("ps --json --socket {}", socket(&daemon));
    let line = |pid| {
        let lines = run(&format!("{ps} --container {id}")).json();
        let line = lines.into_iter().find(|line| record::pid(line) == pid);
        line.unwrap_or_else(|| panic!("{pid} is not listed"))
    };
    assert_eq!(line(old.pid())["comm"], "sh");
    old.release();
    Deadline::start().until("the process has its new name", || {
        let comm = fs::read_to_string(format!("/proc/{}/comm", old.pid()));
        comm.is_ok_and(|it| it == "renamed\n")
    });
    let (older, younger) = (line(old.pid()), line(young.pid()));
    assert_eq!(older["comm"], "renamed", "{older}");
    let age = |line: &Value| line["age_ns"].as_u64().expect("a known age");
    assert!(age(&older) > age(&younger), "{older} {younger}");
    let containers = run(&ps).json();
    let container = containers.iter().find(|line| line["id"] == id.as_str());
    let container = container.expect("the container is listed");
    let start = "oldest_start_boottime_ns";
    assert_eq!(container[start], older["start_boottime_ns"], "{container}");
    let table = run(&ps.replace("--json ", ""));
    let row = table.stdout.lines().find(|line| line.contains(&id[..12]));
    let age = row.and_then(|row| row.split_whitespace().nth(3));
    assert!(age.is_some_and(|age| age != "-"), "{table:#?}");
}
