//! A trace to which nothing happens.

use std::{
    fs,
    time::{Duration, Instant},
};

use probe_tests::{Deadline, TracedCgroup, record};

/// Fifteen times the interval at which a trace drains that is not asleep.
const ASLEEP: Duration = Duration::from_millis(300);

/// Returns once a process has not run for a while.
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
    let mut trial = TracedCgroup::new("idle");
    for (word, code) in [("1", 1), ("2", 2), ("3", 3)] {
        until_asleep(trial.probe.pid());
        let mut victim = trial.start(&["exit", word]);
        let exit = trial.judge_child(&mut victim);
        assert_eq!(record::wait_status(&exit), code << 8);
    }
}
