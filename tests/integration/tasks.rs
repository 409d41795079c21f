//! Processes of several tasks: whose exit is the death of the process, and
//! whose is not.

use probe_tests::{TracedCgroup, record};
use rustix::process::Signal;

#[test]
#[ignore = "needs root"]
fn an_exit_by_another_task_than_the_leader_is_reported_once() {
    let mut trial = TracedCgroup::new("other");
    let judged = trial.judge(&["parent", "threads", "5", "in-thread", "exit", "3"]);
    assert_eq!(judged.report["status"], 3 << 8);
    let told = trial.finish();
    let _once = told.only_exit_of(record::pid(&judged.report));
}

#[test]
#[ignore = "needs root"]
fn leader_exit_is_not_group_death() {
    let mut trial = TracedCgroup::new("leader");
    let mut victim = trial.ready(&["leader-gone", "3", "ready", "held", "exit", "5"]);
    trial.catch_up();
    assert_eq!(trial.probe.exits_so_far(victim.pid()), 0);
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(record::wait_status(&exit), 5 << 8);
    assert_eq!(exit["leader"], false, "{exit}");
    assert_ne!(exit["tid"], exit["pid"], "{exit}");
    let told = trial.finish();
    let _once = told.only_exit_of(victim.pid());
}

#[test]
#[ignore = "needs root"]
fn a_process_that_ends_task_by_task_has_the_status_of_waitpid() {
    let mut trial = TracedCgroup::new("one-by-one");
    let judged = trial.judge(&["parent", "leader-gone", "3", "exit-thread", "5"]);
    // It was the leader's status until 5.19, which took the last task's.
    let status = judged.report["status"].as_i64().expect("a number");
    assert!([3 << 8, 5 << 8].contains(&status), "{status:x}");
    let told = trial.finish();
    let _once = told.only_exit_of(record::pid(&judged.report));
}

#[test]
#[ignore = "needs root"]
fn with_threads_the_exit_of_the_leader_is_reported() {
    let mut trial = TracedCgroup::with("leader-shown", &["--threads"]);
    let mut victim = trial.ready(&["leader-gone", "3", "ready", "held", "exit", "5"]);
    let pid = victim.pid();
    let leader = trial
        .probe
        .wait_for(|line| line["tid"] == pid && line["type"] == "exit");
    assert_eq!(leader["pid"], pid, "{leader}");
    assert_eq!(leader["leader"], true, "{leader}");
    assert_eq!(leader["group_dead"], false, "{leader}");
    assert_eq!(record::wait_status(&leader), 3 << 8);
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["leader"], false, "{exit}");
    let told = trial.finish();
    let of_victim = told.lines.iter().filter(|line| line["pid"] == pid);
    assert_eq!(of_victim.count(), 2);
}

#[test]
#[ignore = "needs root"]
fn exec_by_another_task_is_not_an_exit() {
    let mut trial = TracedCgroup::new("exec");
    let words = [
        "threads",
        "5",
        "in-thread",
        "exec",
        "ready",
        "held",
        "exit",
        "7",
    ];
    let mut victim = trial.ready(&words);
    trial.catch_up();
    assert_eq!(trial.probe.exits_so_far(victim.pid()), 0);
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(record::wait_status(&exit), 7 << 8);
    // It took the place of the leader, and its tid.
    assert_eq!(exit["tid"], exit["pid"], "{exit}");
    assert_eq!(exit["leader"], true, "{exit}");
    let told = trial.finish();
    let _once = told.only_exit_of(victim.pid());
    assert_eq!(told.exits().count(), 2);
}

#[test]
#[ignore = "needs root"]
fn sixty_four_tasks_killed_at_once_are_reported_as_one_exit() {
    let mut trial = TracedCgroup::new("many");
    for _ in 0..20 {
        let mut victim = trial.ready(&["threads", "64", "ready", "pause"]);
        victim.signal(Signal::KILL);
        let exit = trial.judge_child(&mut victim);
        assert_eq!(record::wait_status(&exit), 9);
    }
    let told = trial.finish();
    assert_eq!(told.exits().count(), 20);
    assert_eq!(told.lost, 0);
}

#[test]
#[ignore = "needs root"]
fn with_threads_every_task_is_reported_and_one_is_the_last() {
    let mut trial = TracedCgroup::with("each", &["--threads"]);
    let mut victim = trial.ready(&["threads", "64", "ready", "pause"]);
    victim.signal(Signal::KILL);
    let _exit = trial.judge_child(&mut victim);
    let told = trial.finish();
    let count = |is_it: fn(&serde_json::Value) -> bool| {
        told.lines.iter().filter(|line| is_it(line)).count()
    };
    assert_eq!(told.lines.len(), 64);
    assert_eq!(count(record::is_exit), 1);
    assert_eq!(count(|line| line["leader"] == true), 1);
    let mut tids: Vec<_> = told.lines.iter().map(|line| line["tid"].as_u64()).collect();
    tids.sort_unstable();
    tids.dedup();
    assert_eq!(tids.len(), 64);
}
