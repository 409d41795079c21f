//! Arguments of `probe wait` that are refused before a target is opened.

use probe_tests::{Cgroup, requirements};

use super::{NO_PID, wait};

#[test]
fn an_invalid_pid_is_wrong_usage() {
    for pid in [
        "0",
        "-1",
        "1.5",
        "one",
        "",
        "99999999999",
        "1:",
        "1:x",
        ":1",
        "0:1",
        "1:-1",
    ] {
        let flag = format!("--pid={pid}");
        wait(&["-t", "0", &flag]).assert_refused(2, &["error: "]);
    }
    // Without `--pid=` a minus sign begins an option.
    wait(&["-t", "0", "0"]).assert_refused(2, &["invalid pid '0'"]);
    wait(&["-t", "0", "-1"]).assert_refused(2, &["error: "]);
    wait(&["-t", "0", "--", "-1"]).assert_refused(2, &["invalid pid '-1'"]);
}

#[test]
fn an_invalid_duration_is_wrong_usage() {
    for duration in [
        "soon",
        "",
        "nan",
        "inf",
        "-1",
        "1 fortnight",
        "1e400",
        "5mm",
        "ms",
    ] {
        let flag = format!("--timeout={duration}");
        wait(&[&flag, NO_PID]).assert_refused(2, &["--timeout"]);
    }
    for duration in ["0", "0.001", "1ms", "1m30s", "1h", "1e1"] {
        wait(&["-t", duration, NO_PID]).verdict("already");
    }
}

#[test]
fn conflicting_options_are_wrong_usage() {
    for (args, words) in [
        (&[][..], &["Usage"][..]),
        (&["--until", "gone", NO_PID], &["removed"]),
        (
            &["--until", "empty", "--pid", NO_PID],
            &["--until empty", "hint: "],
        ),
        (
            &["--until", "removed", NO_PID],
            &["--until removed", "hint: "],
        ),
        (
            &["--until", "stopped", NO_PID],
            &["--until stopped", "hint: "],
        ),
        (&["--status", NO_PID, "1"], &["one process", "hint: "]),
        (&["--any", "--count", "1", NO_PID], &["cannot be used with"]),
        (&["--must-exist", "-e", NO_PID], &["cannot be used with"]),
        (&["-c", "0", NO_PID], &["0 is not in"]),
        (&["-c", "3", NO_PID, "1"], &["3 of 2", "hint: "]),
        (&["--backend", "magic", NO_PID], &["pidfd"]),
    ] {
        // With `--status`, errors have their own exit code.
        let code = if args.contains(&"--status") { 125 } else { 2 };
        wait(args).assert_refused(code, words);
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
