//! Resource usage, compared with the result of `wait4`. The record is taken at the beginning of
//! the exit; `wait4` counts until its end.

use probe_tests::{Death, TracedCgroup, record};
use serde_json::Value;

/// The sum of processor time in user space and in the kernel.
fn processor_time(usage: &Value, unit: &str) -> u64 {
    let number = |kind| record::number(usage, &format!("{kind}_{unit}"));
    number("user") + number("system")
}

#[test]
#[ignore = "needs root"]
fn processor_time_is_what_wait4_reports() {
    let mut traced = TracedCgroup::new("cpu");
    for words in [
        &["parent", "spinning", "300", "exit", "0"] as &[&str],
        &["parent", "in-thread", "spinning", "300", "exit", "0"],
        &["parent", "leader-gone", "0", "spinning", "300", "exit", "0"],
    ] {
        let death = traced.run_parent(words);
        assert!(is_usage_reported(&death), "{words:?}: {}", death.exit);
    }
}

#[test]
#[ignore = "needs root"]
fn the_exit_of_a_task_reports_the_processor_time_of_the_process() {
    let mut traced = TracedCgroup::with("living", &["--threads"]);
    let words = ["spinning", "300", "task-gone", "ready", "held", "exit", "0"];
    let mut victim = traced.ready(&words);
    let pid = victim.pid();
    let task = traced
        .probe
        .wait_for(|line| line["pid"] == pid && line["leader"] == false);
    assert_eq!(task["group_dead"], false, "{task}");
    assert!(processor_time(&task["usage"], "ns") > 280_000_000, "{task}");
    victim.release();
    let _exit = traced.reap(&mut victim);
}

/// Whether the record has the usage that `wait4` reports. Asserts that it has not more.
fn is_usage_reported(death: &Death) -> bool {
    let reported = processor_time(&death.exit["usage"], "ns") / 1000;
    let expected = processor_time(&death.report, "us");
    assert!(expected >= 300_000, "{}", death.report);
    // `wait4` includes the time of the exit itself, and the record lacks the time since the last
    // tick.
    assert!(reported <= expected + 1000, "{reported} of {expected}");
    let is_near = |(field, expected_field)| {
        let reported_us = record::number(&death.exit["usage"], field) / 1000;
        reported_us.abs_diff(record::number(&death.report, expected_field)) < 30_000
    };
    let all = [("user_ns", "user_us"), ("system_ns", "system_us")];
    reported + 20_000 >= expected && all.into_iter().all(is_near)
}

#[test]
#[ignore = "needs root"]
fn peak_memory_is_what_wait4_reports() {
    let mut traced = TracedCgroup::new("memory");
    for words in [
        &["parent", "eating", "64", "exit", "0"] as &[&str],
        &["parent", "eating", "64", "in-thread", "exit", "0"],
        &["parent", "eating", "64", "signal", "9"],
    ] {
        let death = traced.run_parent(words);
        let reported = record::number(&death.exit["usage"], "max_rss_bytes");
        let expected = record::number(&death.report, "max_rss_kib") * 1024;
        assert!(expected > 64 << 20, "{}", death.report);
        // The kernel counts by task and adds the counts up only sometimes.
        assert!(
            reported.abs_diff(expected) < 2 << 20,
            "{words:?}: {reported} of {expected}"
        );
    }
}
