//! Kills of the out-of-memory killer.

use probe_tests::{Cgroup, TracedCgroup, Victim, record};
use serde_json::{Value, json};

const LIMIT_BYTES: u32 = 16 << 20;

fn traced(label: &str) -> TracedCgroup {
    TracedCgroup::within(Cgroup::with_memory(LIMIT_BYTES, label), &[])
}

fn run(traced: &mut TracedCgroup, words: &[&str]) -> Value {
    let mut victim = traced.start(words);
    traced.reap(&mut victim)
}

fn assert_is_oom(exit: &Value) {
    assert_eq!(record::wait_status(exit), 9);
    assert_eq!(exit["oom"], true, "{exit}");
    assert_eq!(
        exit["killed_by"],
        json!({
            "pid": null, "comm": null, "uid": null, "signal": "SIGKILL", "via": "oom",
            "cause": null, "forged": false,
        })
    );
}

#[test]
#[ignore = "needs root"]
fn a_process_over_its_memory_limit_is_oom_without_a_killer() {
    let mut traced = traced("eater");
    let exit = run(&mut traced, &["eat"]);
    assert_is_oom(&exit);
    let reported = traced.finish();
    assert_eq!(reported.exits().count(), 1);
}

#[test]
#[ignore = "needs root"]
fn a_process_is_reported_once_when_another_task_exceeds_the_limit() {
    let mut traced = traced("task");
    let exit = run(&mut traced, &["threads", "5", "in-thread", "eat"]);
    assert_is_oom(&exit);
    let exit = run(&mut traced, &["leader-gone", "3", "eat"]);
    assert_is_oom(&exit);
    let reported = traced.finish();
    assert_eq!(reported.exits().count(), 2);
}

#[test]
#[ignore = "needs root"]
fn the_oom_victim_of_another_process_is_reported() {
    let mut traced = traced("other");
    let mut large = traced.ready(&["eating", "11", "ready", "pause"]);
    let mut small = traced.start(&["eating", "6", "exit", "5"]);
    // The kernel kills the largest process, which is asleep.
    let exit = traced.reap(&mut large);
    assert_is_oom(&exit);
    // Sometimes it kills the other one too, before the memory is freed.
    let exit = traced.reap(&mut small);
    if record::wait_status(&exit) == 5 << 8 {
        assert_eq!(exit["oom"], false, "{exit}");
    } else {
        assert_is_oom(&exit);
    }
}

/// The kernel kills such a process without a mark.
#[test]
#[ignore = "needs root"]
fn a_process_that_shares_the_memory_of_a_victim_is_oom() {
    let mut traced = traced("sharer");
    let mut victim = traced.start(&["sharing-memory", "eat"]);
    let sharer = record::pid(&victim.report());
    let exit = traced.reap(&mut victim);
    assert_is_oom(&exit);
    assert_is_oom(&traced.probe.exit_of(sharer));
}

#[test]
#[ignore = "needs root"]
fn a_killed_process_below_the_memory_limit_is_not_oom() {
    let mut traced = traced("little");
    let exit = run(&mut traced, &["eating", "2", "signal", "9"]);
    assert_eq!(exit["oom"], false, "{exit}");
    assert_eq!(exit["killed_by"]["via"], "kill", "{exit}");
}

#[test]
#[ignore = "needs root"]
fn a_reused_tid_of_an_oom_victim_is_not_oom() {
    let mut traced = TracedCgroup::new("later");
    // It runs outside the traced cgroup, so that no program consumes its OOM mark.
    let memory = Cgroup::with_memory(LIMIT_BYTES, "earlier");
    let mut earlier = Victim::start(&["eat"], Some(&memory));
    assert_eq!(earlier.wait(), 9);
    let tid = earlier.pid().to_string();
    let mut victim = traced.start(&["leaderless-task", &tid, "signal", "9"]);
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["tid"], earlier.pid(), "{exit}");
    assert_eq!(exit["oom"], false, "{exit}");
    assert_eq!(exit["killed_by"]["pid"], victim.pid(), "{exit}");
}
