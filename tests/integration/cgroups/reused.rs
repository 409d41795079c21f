//! Cgroups that are used again after a kill.

use probe_tests::{Cgroup, Victim, probe};

use super::wait;

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_is_used_again_after_a_kill_is_waited_for_and_killed_again() {
    for cgroup in Cgroup::both("again") {
        for _ in 0..2 {
            let mut victim = Victim::paused(&cgroup);
            wait(&["-t", "0", "--cgroup", cgroup.path()]).verdict("timeout");
            let output = probe(&["kill", "--json", "-t", "10", "--cgroup", cgroup.path()]);
            output.verdict("done");
            assert_eq!(victim.wait(), 9);
        }
    }
}
