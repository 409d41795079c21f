//! What it used, against what `wait4` told its parent. The record is taken when
//! the exit begins, the judge counts to its end.

use probe_tests::{Death, TracedCgroup, record};

fn cpu_us(judged: &Death) -> (u64, u64) {
    let usage = &judged.exit["usage"];
    let told_ns = record::number(usage, "user_ns") + record::number(usage, "system_ns");
    let report = &judged.report;
    let judge = record::number(report, "user_us") + record::number(report, "system_us");
    (told_ns / 1000, judge)
}

#[test]
#[ignore = "needs root"]
fn processor_time_is_what_wait4_reports() {
    let mut trial = TracedCgroup::new("cpu");
    for words in [
        &["parent", "spinning", "300", "exit", "0"] as &[&str],
        &["parent", "in-thread", "spinning", "300", "exit", "0"],
        &["parent", "leader-gone", "0", "spinning", "300", "exit", "0"],
    ] {
        let judged = trial.judge(words);
        assert!(is_usage_reported(&judged), "{words:?}: {}", judged.exit);
    }
}

#[test]
#[ignore = "needs root"]
fn the_exit_of_a_task_reports_the_processor_time_of_the_process() {
    let mut trial = TracedCgroup::with("living", &["--threads"]);
    let words = ["spinning", "300", "task-gone", "ready", "held", "exit", "0"];
    let mut victim = trial.ready(&words);
    let pid = victim.pid();
    let task = trial
        .probe
        .wait_for(|line| line["pid"] == pid && line["leader"] == false);
    assert_eq!(task["group_dead"], false, "{task}");
    let usage = &task["usage"];
    let told_ns = record::number(usage, "user_ns") + record::number(usage, "system_ns");
    assert!(told_ns > 280_000_000, "{task}");
    victim.release();
    let _exit = trial.judge_child(&mut victim);
}

/// Whether all that the judge saw was told. Never is more told than that.
fn is_usage_reported(judged: &Death) -> bool {
    let (told, judge) = cpu_us(judged);
    assert!(judge >= 300_000, "{}", judged.report);
    // The exit itself costs time that only the judge can know of, and the
    // kernel has not yet counted what ran since the last tick.
    assert!(told <= judge + 1000, "{told} of {judge}");
    let is_near = |(field, judged_field)| {
        let told_us = record::number(&judged.exit["usage"], field) / 1000;
        told_us.abs_diff(record::number(&judged.report, judged_field)) < 30_000
    };
    told + 20_000 >= judge
        && [("user_ns", "user_us"), ("system_ns", "system_us")]
            .into_iter()
            .all(is_near)
}

#[test]
#[ignore = "needs root"]
fn peak_memory_is_what_wait4_reports() {
    let mut trial = TracedCgroup::new("memory");
    for words in [
        &["parent", "eating", "64", "exit", "0"] as &[&str],
        &["parent", "eating", "64", "in-thread", "exit", "0"],
        &["parent", "eating", "64", "signal", "9"],
    ] {
        let judged = trial.judge(words);
        let told = record::number(&judged.exit["usage"], "max_rss_bytes");
        let judge = record::number(&judged.report, "max_rss_kib") * 1024;
        assert!(judge > 64 << 20, "{}", judged.report);
        // The kernel keeps its counts by task and adds them up now and then.
        assert!(
            told.abs_diff(judge) < 2 << 20,
            "{words:?}: {told} of {judge}"
        );
    }
}
