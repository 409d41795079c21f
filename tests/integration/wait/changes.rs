//! Cgroups that change while a wait runs.

use std::fs;

use probe_tests::{Cgroup, Victim, Waiting, conditions::BACKENDS, requirements};
use rustix::process::Signal;

use super::{assert_empty, assert_verdict, wait};

#[test]
#[ignore = "needs root"]
fn a_wait_for_a_frozen_cgroup_ends_after_its_thaw() {
    for (backend, condition) in BACKENDS {
        let cgroup = Cgroup::v2("frozen");
        let _victims = [(); 3].map(|()| Victim::spawn(&["pause"], Some(&cgroup)));
        let args = Waiting::args(&["--cgroup", cgroup.path()]);
        let waiting = Waiting::armed_in(&mut condition(&args));
        cgroup.freeze();
        // Freezing and thawing notify too, and delay the notification of the empty cgroup.
        cgroup.kill();
        cgroup.write("cgroup.freeze", "0");
        let verdict = assert_verdict(&waiting.finish(), 0, "done");
        assert_eq!(verdict["backend"], requirements::available_backend(backend));
        assert_empty(&cgroup);
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_removed_by_another_process_is_done() {
    for (_, condition) in BACKENDS {
        let parent = Cgroup::v2("removed");
        let cgroup = parent.sub("below");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let args = Waiting::args(&["--cgroup", cgroup.path()]);
        let waiting = Waiting::armed_in(&mut condition(&args));
        cgroup.freeze();
        cgroup.kill();
        // Removed as soon as possible: the kernel then cancels the delayed notification, and
        // a waiter that relies on it is never woken.
        while fs::remove_dir(cgroup.path()).is_err() {
            std::thread::yield_now();
        }
        assert_verdict(&waiting.finish(), 0, "done");
        victim.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_child_cgroup_created_during_the_wait_counts() {
    for (_, condition) in BACKENDS {
        for cgroup in [Cgroup::v2("below"), Cgroup::v1("pids", "below")] {
            let mut first = Victim::spawn(&["pause"], Some(&cgroup));
            let args = Waiting::args(&["--cgroup", cgroup.path()]);
            let waiting = Waiting::armed_in(&mut condition(&args));
            let below = cgroup.sub("below");
            let mut second = Victim::spawn(&["pause"], Some(&below));
            first.signal(Signal::KILL);
            first.wait();
            assert_verdict(&wait(&["-t", "0", "--cgroup", cgroup.path()]), 3, "timeout");
            waiting.assert_running();
            second.signal(Signal::KILL);
            assert_verdict(&waiting.finish(), 0, "done");
            second.wait();
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_moves_out_is_waited_for_no_longer() {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v2("moves");
        let victim = Victim::spawn(&["pause"], Some(&cgroup));
        let args = Waiting::args(&["--cgroup", cgroup.path()]);
        let waiting = Waiting::armed_in(&mut condition(&args));
        Cgroup::leave_all(victim.pid());
        assert_verdict(&waiting.finish(), 0, "done");
    }
}
