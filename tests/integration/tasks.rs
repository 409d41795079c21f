//! Processes with several tasks: the exit of a task and the exit of the process.

use probe_tests::{TracedCgroup, record, words};
use rustix::process::Signal;

#[test]
#[ignore = "needs root"]
fn an_exit_by_another_task_than_the_leader_is_reported_once() {
    let mut traced = TracedCgroup::new("other");
    let death = traced.run_parent(&["parent", "threads", "5", "in-thread", "exit", "3"]);
    assert_eq!(death.report["status"], 3 << 8);
    let reported = traced.finish();
    let _once = reported.only_exit_of(record::pid(&death.report));
}

#[test]
#[ignore = "needs root"]
fn leader_exit_is_not_group_death() {
    let mut traced = TracedCgroup::new("leader");
    let mut victim = traced.ready(&["leader-gone", "3", "ready", "held", "exit", "5"]);
    traced.catch_up();
    assert_eq!(traced.probe.exits_so_far(victim.pid()), 0);
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(record::wait_status(&exit), 5 << 8);
    assert_eq!(exit["leader"], false, "{exit}");
    assert_ne!(exit["tid"], exit["pid"], "{exit}");
    let reported = traced.finish();
    let _once = reported.only_exit_of(victim.pid());
}

#[test]
#[ignore = "needs root"]
fn a_process_that_ends_task_by_task_has_the_status_of_waitpid() {
    let mut traced = TracedCgroup::new("one-by-one");
    let death = traced.run_parent(&["parent", "leader-gone", "3", "exit-thread", "5"]);
    // Until 5.19 the status is that of the leader, then that of the last task.
    let status = death.report["status"].as_i64().expect("a number");
    assert!([3 << 8, 5 << 8].contains(&status), "{status:x}");
    let reported = traced.finish();
    let _once = reported.only_exit_of(record::pid(&death.report));
}

#[test]
#[ignore = "needs root"]
fn with_threads_the_exit_of_the_leader_is_reported() {
    let mut traced = TracedCgroup::with("leader-shown", &["--threads"]);
    let mut victim = traced.ready(&["leader-gone", "3", "ready", "held", "exit", "5"]);
    let pid = victim.pid();
    let leader = traced
        .probe
        .wait_for(|line| line["tid"] == pid && line["type"] == "exit");
    assert_eq!(leader["pid"], pid, "{leader}");
    assert_eq!(leader["leader"], true, "{leader}");
    assert_eq!(leader["group_dead"], false, "{leader}");
    assert_eq!(record::wait_status(&leader), 3 << 8);
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["leader"], false, "{exit}");
    let reported = traced.finish();
    let of_victim = reported.lines.iter().filter(|line| line["pid"] == pid);
    assert_eq!(of_victim.count(), 2);
}

#[test]
#[ignore = "needs root"]
fn the_name_and_the_age_of_a_task_are_its_own() {
    let mut traced = TracedCgroup::with("named-task", &["--threads"]);
    let line = "leader-gone 3 named worker ready held exit 5";
    let mut victim = traced.ready(&words(line));
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["comm"], "victim", "{exit}");
    assert_eq!(exit["task"]["comm"], "worker", "{exit}");
    let age_ns = record::number(&exit["task"], "age_ns");
    assert!(age_ns < record::number(&exit, "age_ns"), "{exit}");
    let [start, now] = ["start_boottime_ns", "boottime_ns"].map(|it| match it {
        "boottime_ns" => record::number(&exit, it),
        _ => record::number(&exit["task"], it),
    });
    assert_eq!(now - start, age_ns, "{exit}");
}

#[test]
#[ignore = "needs root"]
fn exec_by_another_task_is_not_an_exit() {
    let mut traced = TracedCgroup::new("exec");
    let line = "threads 5 in-thread exec ready held exit 7";
    let mut victim = traced.ready(&words(line));
    traced.catch_up();
    assert_eq!(traced.probe.exits_so_far(victim.pid()), 0);
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(record::wait_status(&exit), 7 << 8);
    // The task has replaced the leader and has its tid.
    assert_eq!(exit["tid"], exit["pid"], "{exit}");
    assert_eq!(exit["leader"], true, "{exit}");
    let reported = traced.finish();
    let _once = reported.only_exit_of(victim.pid());
    assert_eq!(reported.exits().count(), 2);
}

#[test]
#[ignore = "needs root"]
fn sixty_four_tasks_killed_at_once_are_reported_as_one_exit() {
    let mut traced = TracedCgroup::new("many");
    for _ in 0..20 {
        let mut victim = traced.ready(&["threads", "64", "ready", "pause"]);
        victim.signal(Signal::KILL);
        let exit = traced.reap(&mut victim);
        assert_eq!(record::wait_status(&exit), 9);
    }
    let reported = traced.finish();
    assert_eq!(reported.exits().count(), 20);
    assert_eq!(reported.lost, 0);
}

#[test]
#[ignore = "needs root"]
fn with_threads_every_task_is_reported_and_one_is_the_last() {
    let mut traced = TracedCgroup::with("each", &["--threads"]);
    let mut victim = traced.ready(&["threads", "64", "ready", "pause"]);
    victim.signal(Signal::KILL);
    let _exit = traced.reap(&mut victim);
    let reported = traced.finish();
    let count = |is_it: fn(&serde_json::Value) -> bool| {
        reported.lines.iter().filter(|line| is_it(line)).count()
    };
    assert_eq!(reported.lines.len(), 64);
    assert_eq!(count(record::is_exit), 1);
    assert_eq!(count(|line| line["leader"] == true), 1);
    let mut tids: Vec<_> = reported
        .lines
        .iter()
        .map(|line| line["tid"].as_u64())
        .collect();
    tids.sort_unstable();
    tids.dedup();
    assert_eq!(tids.len(), 64);
}
