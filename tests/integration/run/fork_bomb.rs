//! A fork bomb with a limit of processes.

use std::process::Command;

use probe_tests::{Cgroup, conditions, has_v1, probe_in, requirements};

use super::{Delegated, assert_no_trace_of, descendants_of};

/// Processes that fork as long as they live, each with this word in its command line.
const BOMB: &str = "bomb() { bomb | bomb & bomb; }; : 98760; bomb";

/// Runs a command in a cgroup with a limit of processes.
fn limited(probe: &Command) -> (Cgroup, Command) {
    let cgroup = if has_v1("pids") {
        Cgroup::v1("pids", "bomb")
    } else {
        let cgroup = Cgroup::v2("bomb");
        if !cgroup.file("pids.max").exists() {
            cgroup.write("../cgroup.subtree_control", "+pids");
        }
        cgroup
    };
    cgroup.write("pids.max", "150");
    let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", cgroup.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", &enter, "sh"]);
    shell.arg(probe.get_program()).args(probe.get_args());
    (cgroup, shell)
}

#[test]
#[ignore = "needs root"]
fn nothing_is_left_of_a_fork_bomb() {
    requirements::require_killable_forks();
    let args = ["run", "-q", "-t", "0.5", "--", "sh", "-c", BOMB];
    let delegated = Delegated::make("bomb");
    for probe in [
        conditions::unrestricted(&args),
        delegated.probe(&args),
        conditions::without_privilege(&args),
    ] {
        let (_cgroup, mut shell) = limited(&probe);
        // The shells of the bomb print their failed forks.
        shell.stderr(std::process::Stdio::null());
        let output = probe_in(&mut shell);
        // The first shell may fail to fork and exit before the time is up.
        assert!(
            matches!(output.code, Some(124 | 2 | 254)),
            "{:?}",
            output.code
        );
        assert_eq!(descendants_of(BOMB), [0; 0]);
        assert_no_trace_of("a fork bomb");
    }
}
