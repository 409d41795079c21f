//! A trace without exits.

use std::{
    fs,
    time::{Duration, Instant},
};

use probe_tests::{Deadline, TracedCgroup, record};

/// Fifteen times the drain interval of a trace that is not asleep.
const ASLEEP: Duration = Duration::from_millis(300);

/// Returns when a process has not run for this time.
fn until_asleep(pid: u32) {
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
        let line = status.lines().find(|it| it.starts_with("voluntary_ctxt"));
        line.expect("a count").to_owned()
    };
    let (mut last, mut since) = (switches(), Instant::now());
    Deadline::start().until("the trace sleeps", || {
        let now = switches();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > ASLEEP
    });
}

#[test]
#[ignore = "needs root"]
fn an_idle_trace_is_woken_by_each_exit() {
    let mut traced = TracedCgroup::new("idle");
    for (word, code) in [("1", 1), ("2", 2), ("3", 3)] {
        until_asleep(traced.probe.pid());
        let mut victim = traced.start(&["exit", word]);
        let exit = traced.reap(&mut victim);
        assert_eq!(record::wait_status(&exit), code << 8);
    }
}
