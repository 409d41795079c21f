//! Records of the daemon: a client prints them in order, and only from a trusted daemon.

use std::sync::mpsc;

use probe_tests::{
    Cgroup, Deadline, FakeDaemon, Probe, Victim, Waiting, conditions, probe, probe_in,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{VERDICT, backends, exit_line, socket_option};

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

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
    let cgroup = Cgroup::v2("reported");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    let fake = faithful(0, victim.pid());
    let [flag, socket] = socket_option(&fake);
    let output = probe(&["kill", "--json", &flag, &socket, "--cgroup", cgroup.path()]);
    let lines = output.json();
    let verdict = output.verdict("done");
    assert_eq!(lines.len(), 2, "{output:#?}");
    assert_eq!(lines[0]["pid"], victim.pid());
    assert_eq!(lines[0]["comm"], "fake-daemon");
    assert_eq!(lines[0]["killed_by"]["comm"], "runc");
    assert_eq!(
        (&verdict["exits"], &verdict["lost"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(verdict["backend"], "daemon");
    assert!(!output.stderr.contains("missing"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_kill_sends_no_signal_before_the_daemon_is_armed_and_names_targets_by_identity() {
    let cgroup = Cgroup::v2("order");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    let alone = Victim::spawn(&["pause"], None);
    let (pid, other) = (victim.pid(), alone.pid());
    let (sender, receiver) = mpsc::channel();
    let fake = FakeDaemon::start(move |connection| {
        connection.send_info(1);
        let asked = connection
            .next_request()
            .expect("the client sends a request");
        let mut looks = 0;
        // A client that does not wait for `armed` kills long before the last look.
        Deadline::start().until("the processes were looked at 100 times", || {
            looks += 1;
            assert!(is_alive(pid) && is_alive(other));
            looks == 100
        });
        sender.send(asked).expect("the test receives");
        connection.begin_stream();
        connection.send_chunk("{\"type\":\"armed\",\"live\":2}\n");
        connection.stall();
    });
    let [flag, socket] = socket_option(&fake);
    let target = ["--cgroup", cgroup.path(), &other.to_string()];
    let args = ["kill", "--json", "--backend", "daemon", &flag, &socket];
    let output = probe(&[&args[..], &target].concat());
    output.verdict("done");
    let asked = receiver.recv().expect("the fake daemon received a request");
    assert_eq!(asked.line, "POST /v1/wait");
    let targets = asked.body["targets"].as_array().expect("a list");
    let [first, second] = targets.as_slice() else {
        panic!("not two targets: {targets:?}")
    };
    let id = json!({"hierarchy": 0, "id": cgroup.inode()});
    assert_eq!(first, &json!({"cgroup": id, "until": "empty"}));
    assert_eq!(second["process"]["pid"], other);
    assert!(
        second["process"]["start_ticks"].as_u64() > Some(0),
        "{second}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_daemon_of_another_user_is_trusted_only_if_the_environment_names_its_uid() {
    const STRANGER: u32 = 65534;
    let wait = |uid: Option<u32>, more: &[&str]| {
        let cgroup = Cgroup::v2("stranger");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let fake = faithful(STRANGER, victim.pid());
        let [flag, socket] = socket_option(&fake);
        let args = [&flag, socket.as_str(), "--cgroup", cgroup.path()];
        let args = [&args, more].concat();
        let mut command = conditions::unrestricted(&Waiting::args(&args));
        if let Some(uid) = uid {
            command.env("PROBE_DAEMON_UID", uid.to_string());
        }
        if uid.is_none() && !more.is_empty() {
            return probe_in(&mut command);
        }
        let waiting = Waiting::armed_in(&mut command);
        victim.signal(Signal::KILL);
        victim.wait();
        waiting.finish()
    };
    let has_its_exit = |lines: &[Value]| lines.iter().any(|line| line["comm"] == "fake-daemon");

    let output = wait(None, &[]);
    assert!(!has_its_exit(&output.json()), "{output:#?}");
    assert!(!backends(&output.verdict("done")).contains(&"daemon"));
    assert!(
        output.stderr.contains("uid 65534, which is not trusted"),
        "{output:#?}"
    );

    let output = wait(None, &["--backend", "daemon"]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(output.stderr.contains("PROBE_DAEMON_UID"), "{output:#?}");

    let output = wait(Some(STRANGER), &["--backend", "daemon"]);
    assert!(has_its_exit(&output.json()), "{output:#?}");
    assert_eq!(output.verdict("done")["backend"], "daemon");
}

#[test]
#[ignore = "needs root"]
fn a_trace_continues_after_the_daemon_disconnects() {
    let victim = Victim::spawn(&["pause"], None);
    let fake = FakeDaemon::start(|connection| {
        connection.send_info(1);
        let asked = connection
            .next_request()
            .expect("the client sends a request");
        assert_eq!(asked.line, "GET /v1/events?failed=true");
        connection.begin_stream();
        connection.send_chunk(&exit_line(4_000_000));
        connection.send_chunk(
            "{\"schema\":1,\"type\":\"lost\",\"count\":7,\"reason\":\"slow_reader\"}\n",
        );
        connection.send_chunk("{\"type\":\"goodbye\"}\n");
        connection.end_stream();
    });
    let [flag, socket] = socket_option(&fake);
    let mut trace = Probe::trace(&["--failed", &flag, &socket]);
    assert_eq!(trace.next()["pid"], 4_000_000);
    assert_eq!(trace.next()["count"], 7);
    // The trace reports this again when its own programs are attached.
    trace.attached();
    victim.signal(Signal::KILL);
    trace.exit_of(victim.pid());
    let finished = trace.finish();
    assert!(finished.lost >= 7 && finished.shown >= 2, "{finished:#?}");
}

#[test]
#[ignore = "needs root"]
fn last_prints_the_history_and_passes_its_filters_to_the_daemon() {
    let fake = FakeDaemon::start(|connection| {
        connection.send_info(1);
        let asked = connection
            .next_request()
            .expect("the client sends a request")
            .line;
        assert!(asked.starts_with("GET /v1/exits?"), "{asked}");
        for part in ["container=my%2Fname", "failed=true", "limit=5", "since=2"] {
            assert!(asked.contains(part), "{asked}");
        }
        connection.begin_stream();
        connection.send_chunk(&exit_line(1000));
        connection.send_chunk(&exit_line(1001));
        connection.end_stream();
    });
    let [flag, socket] = socket_option(&fake);
    let asked = [
        "--container",
        "my/name",
        "--failed",
        "-n",
        "5",
        "--since",
        "1h",
    ];
    let args = [&["last", &flag, &socket], &asked[..]].concat();
    let output = probe(&[&args[..], &["--json"]].concat());
    assert_eq!(output.code, Some(0), "{output:#?}");
    let pids: Vec<_> = output
        .json()
        .iter()
        .map(|line| line["pid"].clone())
        .collect();
    assert_eq!(pids, [json!(1000), json!(1001)]);
    let output = probe(&args);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert!(
        lines[0].contains("KILLED-BY") && lines[2].contains("runc[9]"),
        "{output:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn last_without_a_daemon_says_that_history_needs_one() {
    let output = probe(&["last", "--socket", "/no/such/socket"]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(
        output.stderr.contains("history needs the daemon"),
        "{output:#?}"
    );
}
