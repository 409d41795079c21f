//! A daemon that is killed, ended or stopped during a wait.

use std::{thread, time::Duration};

use probe_tests::{Daemon, Victim, Waiting, conditions, random, scale, words};
use rustix::process::Signal;

use super::{
    backends,
    working_daemon::{populated, socket},
};

/// Sends the daemon a signal during a wait for three processes. The client reports the message,
/// if there is one, and these backends serve it, of which `bpf` sees every exit.
fn assert_served_after(signal: Signal, message: Option<&str>, expected: &[&str]) {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, mut victims) = populated("interrupted");
    let options = format!("--backend daemon --socket {}", socket(&daemon));
    let line = format!("{options} --cgroup {}", cgroup.path());
    let waiting = Waiting::armed(&words(&line));
    daemon.signal(signal);
    if let Some(message) = message {
        waiting.wait_for_stderr(message);
        // The backend that takes over reports this.
        waiting.wait_for_stderr("armed:");
    }
    waiting.assert_running();
    assert_eq!(victims.each_mut().map(Victim::kill), [9; 3]);
    let output = waiting.finish();
    assert!(cgroup.procs().is_empty(), "{output:#?}");
    let verdict = output.verdict("done");
    assert_eq!(backends(&verdict), expected, "{verdict}");
    if expected.contains(&"bpf") {
        assert_eq!(verdict["exits"], 3, "{verdict}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_killed_daemon_is_replaced_by_bpf_programs_of_the_client() {
    let message = Some("without the daemon");
    assert_served_after(Signal::KILL, message, &["daemon", "bpf"]);
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_ends_says_goodbye_and_is_replaced() {
    let message = Some("the daemon is shutting down");
    assert_served_after(Signal::TERM, message, &["daemon", "bpf"]);
}

#[test]
#[ignore = "needs root"]
fn a_stopped_daemon_delays_no_verdict() {
    assert_served_after(Signal::STOP, None, &["daemon"]);
}

#[test]
#[ignore = "needs root"]
fn the_daemon_may_be_killed_at_any_moment_of_a_wait() {
    let mut random = random::seeded();
    for round in 0..scale::few_or(50, 1000) {
        let daemon = Daemon::start(&[]);
        let (cgroup, victim) = Victim::in_v2("moment");
        let verb = if random.bool() { "kill" } else { "wait" };
        let target = format!("--socket {} --cgroup {}", socket(&daemon), cgroup.path());
        let line = format!("{verb} --json {target}");
        let waiting = Waiting::start(&mut conditions::unrestricted(&words(&line)));
        let moment = Duration::from_micros(random.u64(..8000));
        thread::park_timeout(moment);
        daemon.signal(Signal::KILL);
        if verb == "wait" {
            thread::park_timeout(Duration::from_micros(random.u64(..2000)));
            victim.signal(Signal::KILL);
        }
        let output = waiting.finish();
        assert_eq!(output.code, Some(0), "{round}: {moment:?}: {output:#?}");
        let outcome = &output.last_line()["outcome"];
        // The wait is `already` done if it started after the kill.
        let is_right = outcome == "done" || outcome == "already";
        assert!(is_right, "{round}: {output:#?}");
        assert!(cgroup.procs().is_empty(), "{round}: {output:#?}");
    }
}
