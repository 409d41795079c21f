//! The kernel half breaks while a wait relies on it: others take over, and what
//! they say is as right.

use std::{fs, thread};

use probe_tests::{Cgroup, Victim, Waiting, conditions, requirements};
use serde_json::{Value, json};

use super::verdict;

/// The ring is not read any more, or its files are closed: the latter nobody
/// notices before the counters are read again.
const BROKEN: [&str; 2] = ["reader", "files"];

/// A wait whose kernel half is broken by now.
fn broken(what: &str, cgroup: &Cgroup) -> Waiting {
    requirements::require_bpf();
    let args = ["--break-bpf", what, "--cgroup", cgroup.path()];
    // It may be armed without BPF first.
    let waiting = Waiting::start(&mut conditions::unrestricted(&Waiting::args(&args)));
    waiting.wait_for_stderr("is broken as was asked for");
    if what == "reader" {
        waiting.wait_for_stderr("others serve");
    }
    waiting.assert_running();
    waiting
}

/// Who served in the end, and what woke it.
fn taken_over(waiting: Waiting, by: &str) -> Value {
    let verdict = verdict(&waiting.finish(), "done");
    assert_eq!(verdict["backends"], json!([by, "bpf", by]), "{verdict}");
    assert_eq!(verdict["backend"], by, "{verdict}");
    assert_eq!(verdict["migrated"], Value::Null, "nobody saw moves");
    verdict["woken_by"].clone()
}

#[test]
#[ignore = "needs root"]
fn a_wait_goes_on_without_the_kernel_half_that_it_had() {
    for what in BROKEN {
        let cgroup = Cgroup::v2("broken");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let waiting = broken(what, &cgroup);
        cgroup.kill();
        let woken_by = taken_over(waiting, "pidfd");
        fs::remove_dir(cgroup.path()).expect("it is empty");
        assert!(
            ["events", "timer"].map(Value::from).contains(&woken_by),
            "{woken_by}"
        );
        victim.wait();
    }
}

/// Nobody tells of it, so it is looked for.
#[test]
#[ignore = "needs root"]
fn a_kernel_half_that_cannot_tell_what_it_lost_is_given_up() {
    let cgroup = Cgroup::v2("broken");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let waiting = broken("files", &cgroup);
    waiting.wait_for_stderr("others serve");
    cgroup.kill();
    taken_over(waiting, "pidfd");
    victim.wait();
}

/// The ring alone told of these at once.
#[test]
#[ignore = "needs root"]
fn what_only_the_ring_told_is_found_by_the_timer() {
    for what in BROKEN {
        let cgroup = Cgroup::v1("pids", "broken");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let waiting = broken(what, &cgroup);
        cgroup.kill();
        assert_eq!(taken_over(waiting, "poll"), "timer");
        victim.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_removal_that_cancels_the_notification_is_found_without_the_ring() {
    for what in BROKEN {
        let parent = Cgroup::v2("broken");
        let cgroup = parent.sub("below");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let waiting = broken(what, &cgroup);
        cgroup.freeze();
        cgroup.kill();
        cgroup.write("cgroup.freeze", "0");
        while fs::remove_dir(cgroup.path()).is_err() {
            thread::yield_now();
        }
        assert_ne!(taken_over(waiting, "pidfd"), "ring");
        victim.wait();
    }
}
