//! Records that a client of the daemon gets at its end, and those that it does not get: each is
//! printed or counted, by its reason, or their number is unknown.

use probe_tests::{
    Cgroup, DEADLINE, Daemon, Deadline, Probe, Running, Victim, Waiting, conditions, record, run,
    scale,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{armed, by_id};

/// Fewer exits than a mailbox of the daemon holds.
const FEW: usize = 2000;

fn socket(daemon: &Daemon) -> &str {
    daemon.socket().to_str().expect("text")
}

fn trace(daemon: &Daemon, cgroup: &Cgroup) -> Probe {
    Probe::trace(&["--cgroup", cgroup.path(), "--socket", socket(daemon)])
}

/// Makes this many children exit in a cgroup; returns the number of exits.
fn storm(exits: usize, cgroup: &Cgroup) -> u64 {
    let mut storm = Victim::start(&["storm", &exits.to_string()], Some(cgroup));
    storm.wait_within(DEADLINE * 4);
    exits as u64 + 1
}

fn exits(lines: &[Value]) -> u64 {
    lines.iter().filter(|line| record::is_exit(line)).count() as u64
}

/// The losses with this reason, which have a number.
fn lost(lines: &[Value], reason: &str) -> u64 {
    let lost = lines.iter().filter(|line| line["type"] == "lost");
    let lost = lost.filter(|line| line["reason"] == reason);
    lost.map(|line| record::number(line, "count")).sum()
}

fn all_lost(lines: &[Value]) -> u64 {
    let reasons = ["ring_full", "skipped", "slow_reader"];
    reasons.iter().map(|reason| lost(lines, reason)).sum()
}

fn assert_unknown_loss(lines: &[Value]) {
    let unknown = lines.iter().filter(|line| line["type"] == "lost");
    let unknown = unknown.filter(|line| line["count"] == Value::Null);
    let reasons: Vec<_> = unknown.map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["daemon_gone"], "{lines:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_trace_that_ends_behind_the_daemon_gets_every_record() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("behind");
    let trace = trace(&daemon, &cgroup);
    trace.stop();
    let made = storm(FEW, &cgroup);
    trace.signal(Signal::INT);
    trace.resume();
    let finished = trace.finish_by_itself();
    let skipped = lost(&finished.lines, "skipped");
    assert_eq!(finished.lost, skipped, "{:#?}", finished.stderr);
    assert_eq!(exits(&finished.lines) + skipped, made);
}

#[test]
#[ignore = "needs root"]
fn records_that_a_slow_trace_misses_are_counted_by_the_trace_and_by_the_metrics() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("slow-trace");
    let trace = trace(&daemon, &cgroup);
    trace.stop();
    let made = storm(scale::emulated_or(20_000, 40_000), &cgroup);
    trace.signal(Signal::INT);
    trace.resume();
    let finished = trace.finish_by_itself();
    let slow = lost(&finished.lines, "slow_reader");
    assert!(slow > 0, "{:#?}", finished.stderr);
    assert_eq!(exits(&finished.lines) + all_lost(&finished.lines), made);
    assert_eq!(finished.lost, all_lost(&finished.lines));
    let metrics = daemon.get("/metrics").text();
    let counted = format!("probe_reader_records_lost_total {slow}");
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
}

#[test]
#[ignore = "needs root"]
fn an_interrupted_wait_reports_every_exit_until_then() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("interrupted");
    let _keeps = Victim::paused(&cgroup);
    let target = ["--cgroup", cgroup.path(), "--socket", socket(&daemon)];
    let args = [["wait", "--json", "-v"].as_slice(), &target].concat();
    let wait = Waiting::armed_in(&mut conditions::unrestricted(&args));
    wait.stop();
    let made = storm(FEW, &cgroup);
    wait.signal(Signal::INT);
    wait.resume();
    let output = wait.finish();
    let lines = output.json();
    let verdict = lines.last().expect("a verdict");
    let skipped = lost(&lines, "skipped");
    assert_eq!(verdict["outcome"], "interrupted", "{verdict}");
    assert_eq!(verdict["lost"], skipped, "{verdict}");
    assert_eq!(exits(&lines) + skipped, made);
}

#[test]
#[ignore = "needs root"]
fn a_loss_by_a_daemon_that_is_killed_is_unknown() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("killed");
    let mut keeps = Victim::paused(&cgroup);
    let mut trace = trace(&daemon, &cgroup);
    let target = ["--cgroup", cgroup.path(), "--socket", socket(&daemon)];
    let args = [["wait", "--json", "-v"].as_slice(), &target].concat();
    let wait = Waiting::armed_in(&mut conditions::unrestricted(&args));
    Running::stop(&daemon);
    storm(FEW, &cgroup);
    daemon.signal(Signal::KILL);
    trace.attached();
    keeps.kill();
    trace.exit_of(keeps.pid());
    assert_unknown_loss(&trace.finish_incomplete());
    let output = wait.finish();
    let lines = output.json();
    assert_unknown_loss(&lines);
    let verdict = output.verdict("done");
    assert_eq!(verdict["lost"], Value::Null, "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_stops_sends_every_record_until_then() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("stopping");
    let trace = trace(&daemon, &cgroup);
    Running::stop(&daemon);
    let made = storm(FEW, &cgroup);
    daemon.signal(Signal::TERM);
    daemon.resume();
    trace.attached();
    let lines = trace.finish_incomplete();
    assert_unknown_loss(&lines);
    let end = lines
        .iter()
        .position(|line| line["reason"] == "daemon_gone");
    let before = &lines[..end.expect("the loss")];
    assert_eq!(exits(before) + lost(before, "skipped"), made);
}

#[test]
#[ignore = "needs root"]
fn a_full_ring_of_the_daemon_is_told_by_its_reason_also_in_the_history() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("full-ring");
    let events = daemon.get(&format!("/v1/events?cgroup={}", cgroup.path()));
    let events = events.stream();
    // Starts and exits of these processes do not fit into the ring.
    Running::stop(&daemon);
    let made = storm(60_000, &cgroup);
    daemon.resume();
    events.ask_for_rest();
    let lines = events.rest();
    assert_eq!(lines.last(), Some(&json!({"type": "end"})));
    assert!(lost(&lines, "ring_full") > 0, "the ring holds all records");
    // A start is a record too.
    let (exits, told) = (exits(&lines), all_lost(&lines));
    assert!(
        exits <= made && exits + told >= made,
        "{exits} and {told} of {made}"
    );

    let line = format!(
        "last --json --socket {} --cgroup {}",
        socket(&daemon),
        cgroup.path()
    );
    let last = run(&line).json();
    assert_eq!(lost(&last, "ring_full"), lost(&lines, "ring_full"));
    let first = last.iter().position(|line| line["type"] == "lost");
    assert!(first < Some(last.len() - 1), "the loss keeps its place");
}

#[test]
#[ignore = "needs root"]
fn a_client_that_shuts_down_its_sending_direction_gets_the_rest() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("rest");
    let _keeps = Victim::paused(&cgroup);
    let events = daemon.get(&format!("/v1/events?cgroup={}", cgroup.path()));
    let events = events.stream();
    let wait = armed(&daemon, &json!({"targets": [by_id(&cgroup)]}), 1);
    let mut victim = Victim::start(&["exit", "3"], Some(&cgroup));
    victim.wait();
    for (stream, last) in [(events, "end"), (wait, "wait")] {
        stream.ask_for_rest();
        let lines = stream.rest();
        let [exit, end] = lines.as_slice() else {
            panic!("not an exit and the last line: {lines:#?}")
        };
        assert_eq!(record::pid(exit), victim.pid());
        assert_eq!(end["type"], last);
        if last == "wait" {
            assert_eq!(
                (&end["outcome"], &end["lost"]),
                (&json!("interrupted"), &json!(0))
            );
        }
    }
    // The answer to a request that is not a stream is complete as well.
    let answer = daemon.get("/v1/info").stream();
    answer.ask_for_rest();
    assert_eq!(answer.rest().len(), 1);
    Deadline::start().until("the daemon has closed the connections", || {
        let metrics = daemon.get("/metrics").text();
        metrics
            .lines()
            .any(|line| line == "probe_clients_connected 1")
    });
}
