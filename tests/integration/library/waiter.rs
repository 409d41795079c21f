//! [`Waiter`] as another program uses it.

use std::{fs, thread, time::Duration};

use probe_tests::{Cgroup, Victim};
use probe_user::{Until, WaitError, Waiter, model::CgroupState, wait_blocking, wait_blocking_for};
use rustix::process::Signal;

use super::{block_on, in_time};

fn waiter() -> Waiter {
    Waiter::builder().build().expect("a runtime runs")
}

fn state(cgroup: &Cgroup) -> CgroupState {
    cgroup.pin().state().expect("the state is readable")
}

#[test]
#[ignore = "needs root"]
fn an_armed_wait_is_met_after_a_kill_by_its_caller() {
    let (cgroup, mut victim) = Victim::in_v2("armed");
    block_on(async {
        let wait = waiter().cgroup(cgroup.path()).expect("the cgroup exists");
        let mut wait = wait.until(Until::Empty).arm().expect("the cgroup exists");
        assert_eq!(wait.look().expect("the state is readable"), None);
        victim.signal(Signal::KILL);
        let met = in_time(wait.met()).await.expect("the state is readable");
        assert!(met.exact && !met.already, "{met:?}");
        assert_eq!(state(&cgroup), CgroupState::Empty);
    });
    assert_eq!(victim.wait(), 9);
}

#[test]
#[ignore = "needs root"]
fn a_time_limit_names_the_target_and_the_survivors() {
    let (cgroup, victim) = Victim::in_v2("limit");
    let error = block_on(async {
        let wait = waiter().cgroup(cgroup.path()).expect("the cgroup exists");
        wait.timeout(Duration::from_millis(50)).await
    });
    let error = error.expect_err("the victim lives");
    let WaitError::TimedOut {
        target, survivors, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(target, &format!("cgroup {}", cgroup.path()));
    let pids: Vec<_> = survivors.iter().map(|it| it.pid).collect();
    assert_eq!(pids, [victim.pid()]);
    let words = "is not empty after 50ms: victim (pid ";
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_two_cgroups_is_met_when_both_are_empty() {
    let [one, two] = ["one", "two"].map(Cgroup::v2);
    let mut victims = [&one, &two].map(Victim::paused);
    block_on(async {
        let wait = waiter().cgroup(one.path()).expect("the cgroup exists");
        let wait = wait.and_cgroup(two.path()).expect("the cgroup exists");
        let mut wait = wait.arm().expect("the cgroups exist");
        for victim in &mut victims {
            assert_eq!(wait.look().expect("the state is readable"), None);
            victim.kill();
        }
        in_time(wait).await.expect("the state is readable");
    });
    assert_eq!([&one, &two].map(state), [CgroupState::Empty; 2]);
}

#[test]
#[ignore = "needs root"]
fn a_target_that_is_gone_is_an_error_that_says_so() {
    block_on(async {
        let waiter = waiter();
        let cgroup = Cgroup::v2("gone");
        let path = cgroup.path().to_owned();
        fs::remove_dir(&path).expect("the cgroup is empty");
        let error = waiter.cgroup(&path).expect_err("the target is gone");
        assert!(error.is_gone(), "{error}");
        let elsewhere = waiter.cgroup("/proc").expect_err("not a cgroup");
        assert!(!elsewhere.is_gone(), "{elsewhere}");
        assert_eq!(elsewhere.to_string(), "/proc is not on a cgroup mount");
        let mut victim = Victim::spawn(&["pause"], None);
        victim.kill();
        let error = waiter.process(victim.pid()).expect_err("gone");
        assert!(error.is_gone(), "{error}");
    });
}

#[test]
fn building_a_waiter_outside_a_runtime_is_an_error() {
    let error = Waiter::builder().build().expect_err("no runtime runs");
    let expected = "a waiter must be built inside a tokio runtime";
    assert_eq!(error.to_string(), expected);
}

#[test]
#[ignore = "needs root"]
fn a_blocking_wait_needs_no_runtime_and_refuses_to_block_one() {
    let (cgroup, victim) = Victim::in_v2("blocking");
    let limit = Duration::from_millis(50);
    let error = wait_blocking_for(cgroup.path(), Until::Empty, limit);
    let error = error.expect_err("the victim lives");
    assert!(matches!(error, WaitError::TimedOut { .. }), "{error:?}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| wait_blocking(cgroup.path(), Until::Empty));
        victim.signal(Signal::KILL);
        let met = waiting.join().expect("the thread does not panic");
        assert!(met.expect("the state is readable").exact);
    });
    assert_eq!(state(&cgroup), CgroupState::Empty);
    let inside = block_on(async { wait_blocking(cgroup.path(), Until::Empty) });
    let error = inside.expect_err("a runtime runs here");
    assert!(matches!(error, WaitError::Runtime(_)), "{error:?}");
}

#[test]
#[ignore = "needs root"]
fn a_clone_of_a_waiter_and_an_armed_wait_outlive_it() {
    let (cgroup, mut victim) = Victim::in_v2("clone");
    block_on(async {
        let first = waiter();
        let second = first.clone();
        drop(first);
        let wait = second.cgroup(cgroup.path()).expect("the cgroup exists");
        let wait = wait.arm().expect("the cgroup exists");
        drop(second);
        victim.signal(Signal::KILL);
        in_time(wait).await.expect("the state is readable");
    });
    assert_eq!(victim.wait(), 9);
}
