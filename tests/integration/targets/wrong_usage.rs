//! Arguments of `probe wait` that are refused before a target is opened.

use probe_tests::{Cgroup, requirements};

use super::{NO_PID, wait};

#[test]
fn durations_have_several_forms() {
    for duration in ["0", "0.001", "1ms", "1m30s", "1h", "1e1"] {
        wait(&["-t", duration, NO_PID]).verdict("already");
    }
}

#[test]
#[ignore = "needs root"]
fn until_is_checked_against_the_kind_of_target() {
    let cgroup = Cgroup::v2("until");
    let path = cgroup.path();
    for (args, words) in [
        (
            &["--until", "stopped", "--cgroup", path][..],
            &["containers", "hint: "][..],
        ),
        // One wrong target of several is enough for an error.
        (
            &["--until", "empty", "--cgroup", path, NO_PID],
            &["--until empty"],
        ),
    ] {
        wait(args).assert_refused(2, words);
    }
    wait(&["--status", "--cgroup", path]).assert_refused(125, &["one process"]);
    for until in ["exited", "reaped", "empty"] {
        wait(&["--until", until, "--cgroup", path]).verdict("already");
    }
    wait(&["-t", "0", "--until", "removed", "--cgroup", path]).verdict("timeout");
}

#[test]
#[ignore = "needs root"]
fn a_backend_that_is_missing_is_not_available() {
    for backend in ["daemon", "bpf", "pidfd", "poll"] {
        let output = wait(&["--backend", backend, NO_PID]);
        match backend {
            "daemon" => output.assert_refused(5, &["daemon", "hint: "]),
            "bpf" if !requirements::has_bpf() => output.assert_refused(5, &["hint: "]),
            _ => drop(output.verdict("already")),
        }
    }
}
