//! [`Waiter`] as another program uses it.

use std::{fs, path::Path, thread, time::Duration};

use probe_tests::{Cgroup, DEADLINE, Victim};
use probe_user::{
    Until, WaitError, Waiter, model::CgroupState, unstable::cgroup::pinned::PinnedCgroup,
    wait_blocking, wait_blocking_for,
};
use rustix::process::Signal;
use tokio::time::timeout;

use super::block_on;

fn waiter() -> Waiter {
    Waiter::builder().build().expect("a runtime runs")
}

fn state(cgroup: &Cgroup) -> CgroupState {
    let pinned = PinnedCgroup::open(0, Path::new(cgroup.path())).expect("the cgroup exists");
    pinned.state().expect("the state is readable")
}

#[test]
#[ignore = "needs root"]
fn an_armed_wait_is_met_after_a_kill_by_its_caller() {
    let cgroup = Cgroup::v2("armed");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let wait = waiter().cgroup(cgroup.path()).expect("the cgroup exists");
        let mut wait = wait.until(Until::Empty).arm().expect("the cgroup exists");
        assert_eq!(wait.look().expect("the state is readable"), None);
        victim.signal(Signal::KILL);
        let met = timeout(DEADLINE, wait.met())
            .await
            .expect("within the deadline");
        let met = met.expect("the state is readable");
        assert!(met.exact && !met.already, "{met:?}");
        assert_eq!(state(&cgroup), CgroupState::Empty);
    });
    assert_eq!(victim.wait(), 9);
}

#[test]
#[ignore = "needs root"]
fn a_time_limit_names_the_target_and_the_survivors() {
    let cgroup = Cgroup::v2("limit");
    let victim = Victim::start(&["pause"], Some(&cgroup));
    let error = block_on(async {
        let wait = waiter().cgroup(cgroup.path()).expect("the cgroup exists");
        wait.timeout(Duration::from_millis(50)).await
    });
    let error = error.expect_err("the victim lives");
    let text = error.to_string();
    let WaitError::TimedOut {
        target, survivors, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(target, format!("cgroup {}", cgroup.path()));
    let pids: Vec<_> = survivors.iter().map(|it| it.pid).collect();
    assert_eq!(pids, [victim.pid()]);
    assert!(
        text.contains("is not empty after 50ms: victim (pid "),
        "{text}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_two_cgroups_is_met_when_both_are_empty() {
    let [one, two] = ["one", "two"].map(Cgroup::v2);
    let mut victims = [&one, &two].map(|it| Victim::spawn(&["pause"], Some(it)));
    block_on(async {
        let wait = waiter().cgroup(one.path()).expect("the cgroup exists");
        let wait = wait.and_cgroup(two.path()).expect("the cgroup exists");
        let mut wait = wait.arm().expect("the cgroups exist");
        for victim in &mut victims {
            assert_eq!(wait.look().expect("the state is readable"), None);
            victim.signal(Signal::KILL);
            victim.wait();
        }
        timeout(DEADLINE, wait)
            .await
            .expect("within the deadline")
            .expect("the state is readable");
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
        assert!(
            waiter
                .cgroup(&path)
                .expect_err("the target is gone")
                .is_gone()
        );
        let elsewhere = waiter.cgroup("/proc").expect_err("not a cgroup");
        assert!(!elsewhere.is_gone(), "{elsewhere}");
        assert_eq!(elsewhere.to_string(), "/proc is on no cgroup mount");
        let mut victim = Victim::spawn(&["pause"], None);
        let pid = victim.pid();
        victim.signal(Signal::KILL);
        victim.wait();
        assert!(
            waiter
                .process(pid)
                .expect_err("the target is gone")
                .is_gone()
        );
    });
}

#[test]
fn building_a_waiter_outside_a_runtime_is_an_error() {
    let error = Waiter::builder().build().expect_err("no runtime runs");
    assert_eq!(
        error.to_string(),
        "a waiter must be built inside a tokio runtime"
    );
}

#[test]
#[ignore = "needs root"]
fn a_blocking_wait_needs_no_runtime_and_refuses_to_block_one() {
    let cgroup = Cgroup::v2("blocking");
    let victim = Victim::start(&["pause"], Some(&cgroup));
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
    let cgroup = Cgroup::v2("clone");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let first = waiter();
        let second = first.clone();
        drop(first);
        let wait = second.cgroup(cgroup.path()).expect("the cgroup exists");
        let wait = wait.arm().expect("the cgroup exists");
        drop(second);
        victim.signal(Signal::KILL);
        timeout(DEADLINE, wait)
            .await
            .expect("within the deadline")
            .expect("the state is readable");
    });
    assert_eq!(victim.wait(), 9);
}
