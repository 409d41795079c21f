//! Cgroups that change while a wait runs.

use probe_tests::{Cgroup, Victim, Waiting, conditions::BACKENDS, requirements};
use rustix::process::Signal;

use super::{assert_empty, assert_verdict, look};

#[test]
#[ignore = "needs root"]
fn a_wait_for_a_frozen_cgroup_ends_after_its_thaw() {
    for (backend, condition) in BACKENDS {
        let cgroup = Cgroup::v2("frozen");
        let _victims = [(); 3].map(|()| Victim::paused(&cgroup));
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        // Freezing and thawing notify too, and delay the notification of the empty cgroup.
        cgroup.kill_frozen();
        let verdict = assert_verdict(&waiting.finish(), "done");
        assert_eq!(verdict["backend"], requirements::available_backend(backend));
        assert_empty(&cgroup);
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_removed_by_another_process_is_done() {
    for (_, condition) in BACKENDS {
        let parent = Cgroup::v2("removed");
        let (cgroup, mut victim) = Victim::inside(parent.sub("below"));
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        cgroup.freeze();
        cgroup.kill();
        // Removed as soon as possible: the kernel then cancels the delayed notification, and
        // a waiter that relies on it is never woken.
        cgroup.remove_when_empty();
        assert_verdict(&waiting.finish(), "done");
        victim.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_child_cgroup_created_during_the_wait_counts() {
    for (_, condition) in BACKENDS {
        for (cgroup, mut first) in Cgroup::both("below").map(Victim::inside) {
            let waiting = Waiting::for_cgroup(condition, &cgroup);
            let (_below, mut second) = Victim::inside(cgroup.sub("below"));
            first.kill();
            assert_verdict(&look(&cgroup), "timeout");
            waiting.assert_running();
            second.signal(Signal::KILL);
            assert_verdict(&waiting.finish(), "done");
            second.wait();
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_moves_out_is_waited_for_no_longer() {
    for (_, condition) in BACKENDS {
        let (cgroup, victim) = Victim::in_v2("moves");
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        Cgroup::leave_all(victim.pid());
        assert_verdict(&waiting.finish(), "done");
    }
}
