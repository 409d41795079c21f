//! The metrics, checked by promtool for names, units and syntax.

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, SystemTime},
};

use probe_daemon::{
    api::Outcome,
    unstable::state::metrics::{Format, Metrics, Scope},
};
use probe_tests::{Cgroup, Daemon, Victim, requirements};
use probe_user::{model::LossReason, unstable::bpf::counters::ProgramRuns};
use rustix::process::Signal;
use serde_json::json;

/// The output of `promtool check metrics`; empty if promtool finds nothing wrong.
fn promtool(text: &str) -> String {
    let mut promtool = requirements::tool("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let findings = [output.stdout, output.stderr].concat();
    let mut findings = String::from_utf8_lossy(&findings).into_owned();
    if !output.status.success() {
        findings.push_str("(failed)");
    }
    findings
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_metrics() {
    let metrics = Metrics::new(SystemTime::now());
    metrics.lost(LossReason::RingFull, 1);
    let wait = metrics.wait_began();
    wait.ended(Outcome::Done, Duration::from_micros(300));
    metrics.set_program_runs(&[ProgramRuns {
        name: "sched_process_exit".to_owned(),
        count: 1,
        run_time: Duration::from_nanos(250),
    }]);
    let text = metrics.render(Format::Prometheus, Scope::Everything);
    assert!(text.contains("probe_bpf_runs_total"), "{text}");
    assert_eq!(promtool(&text), "");
}

#[test]
#[ignore = "needs root and promtool"]
fn promtool_accepts_the_metrics_of_a_busy_daemon() {
    let daemon = Daemon::start(&[]);
    let above = Cgroup::v2("metered");
    let id = format!("{:064x}", above.id());
    let container = above.sub(&format!("docker-{id}.scope"));
    let _lives = Victim::spawn(&["pause"], Some(&container));
    let victim = Victim::spawn(&["pause"], Some(&container));
    let request = json!({"targets": [{"pid": victim.pid()}]});
    let wait = daemon.post("/v1/wait", &request).stream();
    assert_eq!(wait.next()["type"], "armed");
    victim.signal(Signal::KILL);
    assert_eq!(wait.rest().last().expect("a verdict")["outcome"], "done");
    let text = daemon.get("/metrics").text();
    for series in ["probe_wait_duration_seconds_bucket", &id] {
        assert!(text.contains(series), "no {series} in {text}");
    }
    assert_eq!(promtool(&text), "");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_rejects_a_counter_without_the_suffix_total() {
    assert_ne!(promtool("# TYPE probe_exits counter\nprobe_exits 1\n"), "");
}
