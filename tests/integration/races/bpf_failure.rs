//! BPF programs that fail during a wait: another backend takes over, and its verdict is as
//! right.

use std::fs;

use probe_tests::{Cgroup, Victim, Waiting, assert_fields, conditions, requirements, words};
use serde_json::{Value, json};

use super::done;

/// The ring is not read any more, or its files are closed. Closed files are noticed only
/// when the counters are read the next time.
const BROKEN: [&str; 2] = ["reader", "files"];

/// A wait with BPF programs that have failed.
fn broken(what: &str, cgroup: &Cgroup) -> Waiting {
    requirements::require_bpf();
    let line = format!(
        "wait --json -v --break-bpf {what} --cgroup {}",
        cgroup.path()
    );
    // The wait may be armed without BPF first.
    let waiting = Waiting::start(&mut conditions::unrestricted(&words(&line)));
    waiting.wait_for_stderr("BPF has joined and was broken on request");
    if what == "reader" {
        waiting.wait_for_stderr("using the other wake-up sources");
    }
    waiting.assert_running();
    waiting
}

/// Asserts that this backend took over, and returns the source of the last wake-up.
fn assert_taken_over(waiting: Waiting, by: &str) -> Value {
    let verdict = done(waiting);
    // No backend saw all moves of processes, so `migrated` is null.
    let expected = json!({"backends": [by, "bpf", by], "backend": by, "migrated": null});
    assert_fields(&verdict, &expected);
    verdict["woken_by"].clone()
}

#[test]
#[ignore = "needs root"]
fn a_wait_continues_after_its_bpf_programs_fail() {
    for what in BROKEN {
        let (cgroup, mut victim) = Victim::in_v2("broken");
        let waiting = broken(what, &cgroup);
        cgroup.kill();
        let woken_by = assert_taken_over(waiting, "pidfd");
        fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
        let is_right = woken_by == "events" || woken_by == "timer";
        assert!(is_right, "{woken_by}");
        victim.wait();
    }
}

/// No event reports closed files: the wait finds out when it reads the counters.
#[test]
#[ignore = "needs root"]
fn bpf_programs_without_loss_counters_are_given_up() {
    let (cgroup, mut victim) = Victim::in_v2("broken");
    let waiting = broken("files", &cgroup);
    waiting.wait_for_stderr("using the other wake-up sources");
    cgroup.kill();
    assert_taken_over(waiting, "pidfd");
    victim.wait();
}

/// On v1 only the ring reports an empty cgroup at once.
#[test]
#[ignore = "needs root"]
fn the_timer_finds_what_only_the_ring_reported() {
    for what in BROKEN {
        let (cgroup, mut victim) = Victim::inside(Cgroup::v1("pids", "broken"));
        let waiting = broken(what, &cgroup);
        cgroup.kill();
        assert_eq!(assert_taken_over(waiting, "poll"), "timer");
        victim.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_removal_that_cancels_the_notification_is_found_without_the_ring() {
    for what in BROKEN {
        let parent = Cgroup::v2("broken");
        let (cgroup, mut victim) = Victim::inside(parent.sub("below"));
        let waiting = broken(what, &cgroup);
        cgroup.kill_frozen();
        cgroup.remove_when_empty();
        assert_ne!(assert_taken_over(waiting, "pidfd"), "ring");
        victim.wait();
    }
}
