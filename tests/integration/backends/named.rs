//! Backends requested by name that are unavailable or have nothing to do.

use probe_tests::{Cgroup, Output, Victim, conditions, requirements, run, run_in};

use super::BPF;

fn assert_not_available(output: &Output, words: &[&str]) {
    output.assert_refused(5, &[&["probe: ", "hint: "], words].concat());
}

#[test]
#[ignore = "needs root"]
fn a_named_backend_that_is_unavailable_is_an_error_with_reason_and_hint() {
    let (cgroup, _victim) = Victim::in_v2("named");
    let target = format!("--cgroup {}", cgroup.path());
    let line = |backend: &str| format!("wait --json --backend {backend} {target}");
    let denied = |calls: &str, errno: &str, backend: &str| {
        run_in(
            |args| conditions::denied(calls, errno, args),
            &line(backend),
        )
    };

    let output = denied(BPF, "EPERM", "bpf");
    assert_not_available(&output, &["not permitted", "CAP_BPF"]);
    let output = run_in(conditions::without_privilege, &line("bpf"));
    assert_not_available(&output, &["CAP_BPF", "daemon"]);
    assert_not_available(&denied("bpf", "ENOSYS", "bpf"), &[]);
    for errno in ["ENOSYS", "EPERM"] {
        let output = denied("pidfd_open", errno, "pidfd");
        assert_not_available(&output, &["pidfd_open", "--backend poll"]);
    }
    assert_not_available(&run(&line("daemon")), &["daemon", "--socket"]);
    // The error lists the backends.
    run(&line("inotify")).assert_ended(2, &["poll"]);
}

#[test]
#[ignore = "needs root"]
fn a_named_backend_that_is_unavailable_is_an_error_even_if_the_target_is_done() {
    let cgroup = Cgroup::v2("over");
    let line = format!("wait --backend bpf --cgroup {}", cgroup.path());
    let output = run_in(|args| conditions::denied(BPF, "EPERM", args), &line);
    assert_not_available(&output, &["not permitted"]);
}

/// `armed` promises that later exits are not missed, and there are none.
#[test]
#[ignore = "needs root"]
fn no_backend_reports_armed_for_a_target_that_is_done() {
    let cgroup = Cgroup::v2("over");
    for backend in ["auto", "bpf", "pidfd", "poll"] {
        let target = format!("--cgroup {}", cgroup.path());
        let output = run(&format!("wait --json -v --backend {backend} {target}"));
        assert!(!output.stderr.contains("armed:"), "{output:#?}");
        if backend == "bpf" && !requirements::has_bpf() {
            assert_not_available(&output, &[]);
            continue;
        }
        output.verdict("already");
    }
}
