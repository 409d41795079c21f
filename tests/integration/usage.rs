//! What it used, against what `wait4` told its parent. The record is taken when
//! the exit begins, the judge counts to its end.

use probe_tests::{Judged, Trial, extent, record};

fn cpu_us(judged: &Judged) -> (u64, u64) {
    let usage = &judged.exit["usage"];
    let told_ns = record::number(usage, "user_ns") + record::number(usage, "system_ns");
    let report = &judged.report;
    let judge = record::number(report, "user_us") + record::number(report, "system_us");
    (told_ns / 1000, judge)
}

/// In how many of them what is told must be whole once: a thread that is released in
/// the very moment of the record is missing (README, Limits), which takes an emulated
/// machine to be seen.
fn rounds() -> usize {
    extent::small_or(5, 1)
}

#[test]
#[ignore = "needs root"]
fn processor_time_is_what_wait4_says() {
    let mut trial = Trial::new("cpu");
    let alone = trial.judge(&["parent", "spinning", "300", "exit", "0"]);
    assert!(is_whole(&alone), "{} of {}", alone.exit, alone.report);
    for words in [
        &["parent", "in-thread", "spinning", "300", "exit", "0"] as &[&str],
        &["parent", "leader-gone", "0", "spinning", "300", "exit", "0"],
    ] {
        let mut rounds = (0..rounds()).map(|_| trial.judge(words));
        assert!(rounds.any(|judged| is_whole(&judged)), "{words:?}");
    }
}

/// Whether all that the judge saw was told. Never is more told than that.
fn is_whole(judged: &Judged) -> bool {
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
fn memory_is_what_wait4_says() {
    let mut trial = Trial::new("memory");
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
