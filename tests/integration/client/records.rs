//! Records of the daemon: a client prints them in order, and only from a trusted daemon.

use std::sync::mpsc;

use probe_tests::{
    Connection, Deadline, FakeDaemon, Output, Probe, Victim, Waiting, assert_fields, conditions,
    is_alive, probe_in, run, words,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{VERDICT, backends, exit_line};

/// A fake daemon that arms, and reports exit and verdict when this process is dead.
fn faithful(uid: u32, pid: u32) -> FakeDaemon {
    FakeDaemon::start_as(uid, move |connection| {
        if connection.answer_armed().is_none() {
            return;
        }
        Deadline::start().until("the process is dead", || !is_alive(pid));
        connection.send_chunk(&exit_line(pid));
        connection.send_chunk("{\"type\":\"met\",\"target\":0}\n");
        connection.send_chunk(VERDICT);
        connection.end_stream();
    })
}

#[test]
#[ignore = "needs root"]
fn every_exit_of_the_daemon_is_printed_before_the_verdict() {
    let (cgroup, victim) = Victim::in_v2("reported");
    let fake = faithful(0, victim.pid());
    let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
    let output = run(&format!("kill --json {target}"));
    let lines = output.json();
    assert_eq!(lines.len(), 3, "{output:#?}");
    assert_eq!(lines[0]["type"], "armed");
    let exit = json!({"pid": victim.pid(), "comm": "fake-daemon"});
    assert_fields(&lines[1], &exit);
    assert_eq!(lines[1]["killed_by"]["comm"], "runc");
    let verdict = json!({"exits": 1, "lost": 0, "backend": "daemon"});
    assert_fields(&output.verdict("done"), &verdict);
    assert!(!output.stderr.contains("missing"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_kill_sends_no_signal_before_the_daemon_is_armed_and_names_targets_by_identity() {
    let (cgroup, victim) = Victim::in_v2("order");
    let alone = Victim::spawn(&["pause"], None);
    let (pid, other) = (victim.pid(), alone.pid());
    let (sender, receiver) = mpsc::channel();
    let fake = FakeDaemon::start(move |connection| {
        connection.send_info(1);
        let request = connection.next_request().expect("a request");
        let mut looks = 0;
        // A client that does not wait for `armed` kills long before the last look.
        Deadline::start().until("the processes were looked at 100 times", || {
            looks += 1;
            assert!(is_alive(pid) && is_alive(other));
            looks == 100
        });
        sender.send(request).expect("the test receives");
        connection.begin_stream();
        connection.send_chunk("{\"type\":\"armed\",\"live\":2}\n");
        connection.stall();
    });
    let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
    let output = run(&format!("kill --json --backend daemon {target} {other}"));
    output.verdict("done");
    let request = receiver.recv().expect("the fake daemon has a request");
    assert_eq!(request.line, "POST /v1/wait");
    let targets = request.body["targets"].as_array().expect("a list");
    let [first, second] = targets.as_slice() else {
        panic!("not two targets: {targets:?}")
    };
    let id = json!({"hierarchy": 0, "id": cgroup.id()});
    assert_eq!(first, &json!({"cgroup": id, "until": "empty"}));
    assert_eq!(second["process"]["pid"], other);
    let start_ticks = second["process"]["start_ticks"].as_u64();
    assert!(start_ticks > Some(0), "{second}");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_of_another_user_is_trusted_only_if_the_environment_names_its_uid() {
    const STRANGER: u32 = 65534;
    let wait = |uid: Option<u32>, backend: &str| {
        let (cgroup, mut victim) = Victim::in_v2("stranger");
        let fake = faithful(STRANGER, victim.pid());
        let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
        let line = format!("wait --json -v --backend {backend} {target}");
        let mut command = conditions::unrestricted(&words(&line));
        command.envs(uid.map(|uid| ("PROBE_DAEMON_UID", uid.to_string())));
        if uid.is_none() && backend == "daemon" {
            return probe_in(&mut command);
        }
        let waiting = Waiting::armed_in(&mut command);
        victim.kill();
        waiting.finish()
    };
    let is_trusted = |output: &Output| output.stdout.contains("fake-daemon");

    let output = wait(None, "auto");
    assert!(!is_trusted(&output), "{output:#?}");
    assert!(!backends(&output.verdict("done")).contains(&"daemon"));
    output.assert_ended(0, &["uid 65534, which is not trusted"]);

    let output = wait(None, "daemon");
    output.assert_ended(5, &["PROBE_DAEMON_UID"]);

    let output = wait(Some(STRANGER), "daemon");
    assert!(is_trusted(&output), "{output:#?}");
    assert_eq!(output.verdict("done")["backend"], "daemon");
}

#[test]
#[ignore = "needs root"]
fn a_trace_continues_after_the_daemon_disconnects() {
    let victim = Victim::spawn(&["pause"], None);
    let fake = FakeDaemon::start(|connection| {
        assert_eq!(begin(connection), "GET /v1/events?failed=true");
        connection.send_chunk(&exit_line(4_000_000));
        let lost = json!({"schema": 1, "type": "lost", "count": 7, "reason": "slow_reader"});
        connection.send_chunk(&format!("{lost}\n"));
        connection.send_chunk("{\"type\":\"goodbye\"}\n");
        connection.end_stream();
    });
    let mut trace = Probe::trace(&["--failed", "--socket", &fake.socket()]);
    assert_eq!(trace.next()["pid"], 4_000_000);
    assert_eq!(trace.next()["count"], 7);
    // The trace reports this again when its own programs are attached.
    trace.attached();
    victim.signal(Signal::KILL);
    trace.exit_of(victim.pid());
    // Exits between the end of the daemon and the programs of the trace are not known.
    let lines = trace.finish_incomplete();
    let lost = lines.iter().find(|line| line["reason"] == "daemon_gone");
    assert_eq!(lost.expect("a loss")["count"], Value::Null);
}

#[test]
#[ignore = "needs root"]
fn last_prints_the_history_and_passes_its_filters_to_the_daemon() {
    let fake = FakeDaemon::start(|connection| {
        let request = begin(connection);
        assert!(request.starts_with("GET /v1/exits?"), "{request}");
        for part in ["container=my%2Fname", "failed=true", "limit=5", "since=2"] {
            assert!(request.contains(part), "{request}");
        }
        connection.send_chunk(&exit_line(1000));
        connection.send_chunk(&exit_line(1001));
        connection.end_stream();
    });
    let filters = "--container my/name --failed -n 5 --since 1h";
    let line = format!("last --socket {} {filters}", fake.socket());
    let output = run(&format!("{line} --json"));
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(output.exits(), [1000, 1001]);
    let output = run(&line);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert!(lines[0].contains("KILLED-BY"), "{output:#?}");
    assert!(lines[2].contains("runc[9]"), "{output:#?}");
}

/// Begins the answer to a request, and returns the line of the request.
fn begin(connection: &mut Connection) -> String {
    connection.send_info(1);
    let request = connection.next_request().expect("a request");
    connection.begin_stream();
    request.line
}

#[test]
#[ignore = "needs root"]
fn last_without_a_daemon_says_that_history_needs_one() {
    let output = run("last --socket /no/such/socket");
    output.assert_ended(5, &["history needs the daemon"]);
}
