//! What a daemon tells is told on, in time, and only if it is believed.

use std::sync::mpsc;

use probe_tests::{
    Cgroup, Deadline, FakeDaemon, Probe, Victim, Waiting, conditions, probe, probe_in,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{VERDICT, backends, by, exit_line};

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// One that arms, and tells all when this process is dead.
fn faithful(uid: u32, pid: u32) -> FakeDaemon {
    FakeDaemon::start_as(uid, move |caller| {
        if caller.answer_armed().is_none() {
            return;
        }
        Deadline::start().until("it is dead", || !is_alive(pid));
        caller.send_chunk(&exit_line(pid));
        caller.send_chunk("{\"type\":\"met\",\"target\":0}\n");
        caller.send_chunk(VERDICT);
        caller.end_stream();
    })
}

#[test]
#[ignore = "needs root"]
fn every_exit_that_the_daemon_tells_comes_before_the_verdict() {
    let cgroup = Cgroup::v2("told");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    let impostor = faithful(0, victim.pid());
    let [flag, socket] = by(&impostor);
    let output = probe(&["kill", "--json", &flag, &socket, "--cgroup", cgroup.path()]);
    let lines = output.json();
    let verdict = output.verdict("done");
    assert_eq!(lines.len(), 2, "{output:#?}");
    assert_eq!(lines[0]["pid"], victim.pid());
    assert_eq!(lines[0]["comm"], "impostor");
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
fn a_kill_sends_nothing_before_the_daemon_is_armed_and_names_nobody_by_path() {
    let cgroup = Cgroup::v2("order");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    let alone = Victim::spawn(&["pause"], None);
    let (pid, other) = (victim.pid(), alone.pid());
    let (tell, told) = mpsc::channel();
    let impostor = FakeDaemon::start(move |caller| {
        caller.send_info(1);
        let asked = caller.next_request().expect("it asks");
        let mut looks = 0;
        // Whoever does not wait for us has killed long before.
        Deadline::start().until("looked often enough", || {
            looks += 1;
            assert!(is_alive(pid) && is_alive(other));
            looks == 100
        });
        tell.send(asked).expect("the test waits");
        caller.begin_stream();
        caller.send_chunk("{\"type\":\"armed\",\"live\":2}\n");
        caller.stall();
    });
    let [flag, socket] = by(&impostor);
    let target = ["--cgroup", cgroup.path(), &other.to_string()];
    let args = ["kill", "--json", "--backend", "daemon", &flag, &socket];
    let output = probe(&[&args[..], &target].concat());
    output.verdict("done");
    let asked = told.recv().expect("it looked");
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
fn a_stranger_is_not_believed_unless_somebody_says_so() {
    const STRANGER: u32 = 65534;
    let wait = |uid: Option<u32>, more: &[&str]| {
        let cgroup = Cgroup::v2("stranger");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let impostor = faithful(STRANGER, victim.pid());
        let [flag, socket] = by(&impostor);
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
    let told_by_it = |lines: &[Value]| lines.iter().any(|line| line["comm"] == "impostor");

    let output = wait(None, &[]);
    assert!(!told_by_it(&output.json()), "{output:#?}");
    assert!(!backends(&output.verdict("done")).contains(&"daemon"));
    assert!(
        output.stderr.contains("uid 65534, which is not believed"),
        "{output:#?}"
    );

    let output = wait(None, &["--backend", "daemon"]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(output.stderr.contains("PROBE_DAEMON_UID"), "{output:#?}");

    let output = wait(Some(STRANGER), &["--backend", "daemon"]);
    assert!(told_by_it(&output.json()), "{output:#?}");
    assert_eq!(output.verdict("done")["backend"], "daemon");
}

#[test]
#[ignore = "needs root"]
fn a_trace_follows_the_daemon_and_goes_on_when_it_leaves() {
    let victim = Victim::spawn(&["pause"], None);
    let impostor = FakeDaemon::start(|caller| {
        caller.send_info(1);
        let asked = caller.next_request().expect("it asks");
        assert_eq!(asked.line, "GET /v1/events?failed=true");
        caller.begin_stream();
        caller.send_chunk(&exit_line(4_000_000));
        caller.send_chunk(
            "{\"schema\":1,\"type\":\"lost\",\"count\":7,\"reason\":\"slow_reader\"}\n",
        );
        caller.send_chunk("{\"type\":\"goodbye\"}\n");
        caller.end_stream();
    });
    let [flag, socket] = by(&impostor);
    let mut trace = Probe::trace(&["--failed", &flag, &socket]);
    assert_eq!(trace.next()["pid"], 4_000_000);
    assert_eq!(trace.next()["count"], 7);
    // Said once more when our own programs are attached.
    trace.attached();
    victim.signal(Signal::KILL);
    trace.exit_of(victim.pid());
    let finished = trace.finish();
    assert!(finished.lost >= 7 && finished.shown >= 2, "{finished:#?}");
}

#[test]
#[ignore = "needs root"]
fn last_shows_the_history_and_asks_for_no_more_than_is_wanted() {
    let impostor = FakeDaemon::start(|caller| {
        caller.send_info(1);
        let asked = caller.next_request().expect("it asks").line;
        assert!(asked.starts_with("GET /v1/exits?"), "{asked}");
        for part in ["container=my%2Fname", "failed=true", "limit=5", "since=2"] {
            assert!(asked.contains(part), "{asked}");
        }
        caller.begin_stream();
        caller.send_chunk(&exit_line(1000));
        caller.send_chunk(&exit_line(1001));
        caller.end_stream();
    });
    let [flag, socket] = by(&impostor);
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
fn last_says_that_history_needs_the_daemon() {
    let output = probe(&["last", "--socket", "/no/such/socket"]);
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(
        output.stderr.contains("history needs the daemon"),
        "{output:#?}"
    );
}
