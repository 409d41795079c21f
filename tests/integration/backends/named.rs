//! Backends requested by name that are unavailable or have nothing to do.

use probe_tests::{Cgroup, Output, Victim, Waiting, conditions, probe, probe_in, requirements};

use super::BPF;

fn assert_not_available(output: &Output, words: &[&str]) {
    output.assert_refused(5, &[&["probe: ", "hint: "], words].concat());
}

#[test]
#[ignore = "needs root"]
fn a_named_backend_that_is_unavailable_is_an_error_with_reason_and_hint() {
    let cgroup = Cgroup::v2("named");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let args = |backend| {
        [
            "wait",
            "--json",
            "--backend",
            backend,
            "--cgroup",
            cgroup.path(),
        ]
    };

    let output = probe_in(&mut conditions::denied(BPF, "EPERM", &args("bpf")));
    assert_not_available(&output, &["not permitted", "CAP_BPF"]);
    let output = probe_in(&mut conditions::without_privilege(&args("bpf")));
    assert_not_available(&output, &["CAP_BPF", "daemon"]);
    let output = probe_in(&mut conditions::denied("bpf", "ENOSYS", &args("bpf")));
    assert_not_available(&output, &[]);
    for errno in ["ENOSYS", "EPERM"] {
        let output = probe_in(&mut conditions::denied("pidfd_open", errno, &args("pidfd")));
        assert_not_available(&output, &["pidfd_open", "--backend poll"]);
    }
    let output = probe(&args("daemon"));
    assert_not_available(&output, &["daemon", "--socket"]);
    let output = probe(&args("inotify"));
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(
        output.stderr.contains("poll"),
        "the backends are not listed: {output:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_named_backend_that_is_unavailable_is_an_error_even_if_the_target_is_done() {
    let cgroup = Cgroup::v2("over");
    let args = ["wait", "--backend", "bpf", "--cgroup", cgroup.path()];
    let output = probe_in(&mut conditions::denied(BPF, "EPERM", &args));
    assert_not_available(&output, &["not permitted"]);
}

/// `armed` promises that later exits are not missed, and there are none.
#[test]
#[ignore = "needs root"]
fn no_backend_reports_armed_for_a_target_that_is_done() {
    let cgroup = Cgroup::v2("over");
    for backend in ["auto", "bpf", "pidfd", "poll"] {
        let args = ["--backend", backend, "--cgroup", cgroup.path()];
        let output = probe(&Waiting::args(&args));
        assert!(!output.stderr.contains("armed:"), "{output:#?}");
        if backend == "bpf" && !requirements::has_bpf() {
            assert_not_available(&output, &[]);
            continue;
        }
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(output.json()[0]["outcome"], "already", "{output:#?}");
    }
}
