//! `--status`: the exit code of the process.

use probe_tests::{Victim, Waiting, kernel, requirements, scale};
use rustix::process::Signal;

use super::{NO_PID, wait};

/// Runs `probe wait --status` for a victim; returns the status of `waitpid` and the exit code.
fn status(args: &[&str], more: &[&str]) -> (i32, Option<i32>) {
    let mut victim = Victim::spawn(args, None);
    let pid = victim.pid().to_string();
    let waiting = Waiting::armed(&[&["--status", &pid], more].concat());
    victim.release();
    let status = victim.wait();
    (status, waiting.finish().code)
}

#[test]
#[ignore = "needs root"]
fn the_status_is_the_exit_code_of_the_process() {
    let is_available = requirements::has_bpf() || kernel::reports_status_by_pidfd();
    let assert_status = |(status, reported): (i32, Option<i32>), code: i32| {
        let is_unknown = !is_available && reported == Some(125);
        assert_eq!(status, code << 8);
        assert!(
            reported == Some(code) || is_unknown,
            "{reported:?} for {code}"
        );
    };
    let backend = requirements::available_backend("bpf");
    for code in [0, 1, 42, 124, 255] {
        let word = code.to_string();
        assert_status(status(&["exit", &word], &[]), code);
        let more = ["--until", "reaped", "--backend", backend];
        assert_status(status(&["exit", &word], &more), code);
    }
}

#[test]
#[ignore = "needs root"]
fn the_status_of_a_signal_is_what_a_shell_shows() {
    for backend in ["auto", "pidfd"] {
        for signal in [Signal::KILL, Signal::TERM] {
            let mut victim = Victim::spawn(&["pause"], None);
            let pid = victim.pid().to_string();
            let waiting = Waiting::armed(&["--status", "--backend", backend, &pid]);
            victim.signal(signal);
            victim.wait();
            // Otherwise the status is known only if `probe` looks before the parent reaps.
            let has_bpf = backend != "pidfd" && requirements::has_bpf();
            let is_available = has_bpf || kernel::reports_status_by_pidfd();
            let code = waiting.finish().code.expect("an exit code");
            let is_right = code == 128 + signal.as_raw();
            assert!(
                is_right || !is_available && code == 125,
                "{backend}: {code}"
            );
        }
    }
}

#[test]
#[ignore = "needs root"]
fn an_unknown_status_has_its_own_exit_codes() {
    let victim = Victim::spawn(&["pause"], None);
    let pid = victim.pid().to_string();
    for timeout in ["0", "30ms"] {
        let output = wait(&["--status", "-t", timeout, &pid]);
        assert_eq!(output.code, Some(124), "{output:#?}");
    }
    let output = wait(&["--status", NO_PID]);
    assert_eq!(output.code, Some(125), "{output:#?}");
    assert!(output.stderr.contains("unknown"), "{output:#?}");
    assert_eq!(wait(&["--status", "--must-exist", NO_PID]).code, Some(125));
    assert_eq!(
        wait(&["--status", "--backend", "daemon", &pid]).code,
        Some(125)
    );

    // With the timer alone the status is unknown, unless `probe` looks before the parent reaps.
    // Only an emulated machine is slow enough for that.
    let mut victim = Victim::spawn(&["pause"], None);
    let pid = victim.pid().to_string();
    let waiting = Waiting::armed(&["--status", "--backend", "poll", &pid]);
    victim.kill();
    let output = waiting.finish();
    let is_seen = scale::is_emulated() && output.code == Some(137);
    assert!(is_seen || output.code == Some(125), "{output:#?}");
}
