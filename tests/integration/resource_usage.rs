//! Resource usage, compared with the result of `wait4`. The record is taken at the beginning of
//! the exit; `wait4` counts until its end.

use probe_tests::{Death, TracedCgroup, record};

fn cpu_us(death: &Death) -> (u64, u64) {
    let usage = &death.exit["usage"];
    let reported_ns = record::number(usage, "user_ns") + record::number(usage, "system_ns");
    let report = &death.report;
    let expected = record::number(report, "user_us") + record::number(report, "system_us");
    (reported_ns / 1000, expected)
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
    let usage = &task["usage"];
    let reported_ns = record::number(usage, "user_ns") + record::number(usage, "system_ns");
    assert!(reported_ns > 280_000_000, "{task}");
    victim.release();
    let _exit = traced.reap(&mut victim);
}

/// Whether the record has the usage that `wait4` reports. Asserts that it has not more.
fn is_usage_reported(death: &Death) -> bool {
    let (reported, expected) = cpu_us(death);
    assert!(expected >= 300_000, "{}", death.report);
    // `wait4` includes the time of the exit itself, and the record lacks the time since the last
    // tick.
    assert!(reported <= expected + 1000, "{reported} of {expected}");
    let is_near = |(field, expected_field)| {
        let reported_us = record::number(&death.exit["usage"], field) / 1000;
        reported_us.abs_diff(record::number(&death.report, expected_field)) < 30_000
    };
    reported + 20_000 >= expected
        && [("user_ns", "user_us"), ("system_ns", "system_us")]
            .into_iter()
            .all(is_near)
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
