//! Cgroups that are used again after a kill.

use probe_tests::{Cgroup, Victim, probe};
use probe_user::unstable::kernel::kill_seq;

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

/// On a kernel that counts the kills of a cgroup, no process can be started directly in one that
/// was killed.
#[test]
#[ignore = "needs root"]
fn a_kill_tells_that_a_cgroup_which_it_leaves_kills_new_processes() {
    let is_counted = kill_seq::is_counted();
    for (cgroup, rm) in [(Cgroup::v2("left"), false), (Cgroup::v2("removed"), true)] {
        let mut victim = Victim::paused(&cgroup);
        let has_kill = cgroup.has_kill();
        let rm = if rm { &["--rm"][..] } else { &[] };
        let args = ["kill", "--json", "--cgroup", cgroup.path()];
        let output = probe(&[&args[..], rm].concat());
        let verdict = output.verdict("done");
        assert_eq!(victim.wait(), 9);
        let is_told = rm.is_empty() && has_kill && is_counted;
        let paths = verdict["kills_clones"].as_array().expect("a list");
        assert_eq!(paths.len(), usize::from(is_told), "{output:#?}");
        let is_printed = output.stderr.contains("CLONE_INTO_CGROUP");
        assert_eq!(is_printed, is_told, "{output:#?}");
    }
}
