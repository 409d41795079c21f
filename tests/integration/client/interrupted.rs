//! A daemon that is killed, ended or stopped during a wait.

use std::{thread, time::Duration};

use probe_tests::{Cgroup, Daemon, Victim, Waiting, conditions, random, scale};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    backends,
    working_daemon::{populated, socket},
};

/// Sends the daemon a signal during a wait, and returns the verdict.
fn interrupted(signal: Signal, message: &str) -> Value {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, victims) = populated("interrupted");
    let args = ["--socket", socket(&daemon), "--cgroup", cgroup.path()];
    let waiting = Waiting::armed(&[&["--backend", "daemon"], &args[..]].concat());
    daemon.signal(signal);
    if !message.is_empty() {
        waiting.wait_for_stderr(message);
        // The backend that takes over reports this.
        waiting.wait_for_stderr("armed:");
    }
    waiting.assert_running();
    for mut victim in victims {
        victim.signal(Signal::KILL);
        victim.wait();
    }
    let output = waiting.finish();
    assert!(cgroup.procs().is_empty(), "{output:#?}");
    output.verdict("done")
}

#[test]
#[ignore = "needs root"]
fn a_killed_daemon_is_replaced_by_bpf_programs_of_the_client() {
    let verdict = interrupted(Signal::KILL, "without the daemon");
    assert_eq!(backends(&verdict), ["daemon", "bpf"], "{verdict}");
    assert_eq!(verdict["exits"], 3, "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_ends_says_goodbye_and_is_replaced() {
    let verdict = interrupted(Signal::TERM, "goodbye");
    assert_eq!(backends(&verdict), ["daemon", "bpf"], "{verdict}");
    assert_eq!(verdict["exits"], 3, "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_stopped_daemon_delays_no_verdict() {
    let verdict = interrupted(Signal::STOP, "");
    assert_eq!(backends(&verdict), ["daemon"], "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn the_daemon_may_be_killed_at_any_moment_of_a_wait() {
    let mut random = random::seeded();
    for round in 0..scale::few_or(50, 1000) {
        let daemon = Daemon::start(&[]);
        let cgroup = Cgroup::v2("moment");
        let victim = Victim::spawn(&["pause"], Some(&cgroup));
        let verb = if random.bool() { "kill" } else { "wait" };
        let args = [
            verb,
            "--json",
            "--socket",
            socket(&daemon),
            "--cgroup",
            cgroup.path(),
        ];
        let waiting = Waiting::start(&mut conditions::unrestricted(&args));
        let moment = Duration::from_micros(random.u64(..8000));
        thread::park_timeout(moment);
        daemon.signal(Signal::KILL);
        if verb == "wait" {
            thread::park_timeout(Duration::from_micros(random.u64(..2000)));
            victim.signal(Signal::KILL);
        }
        let output = waiting.finish();
        assert_eq!(output.code, Some(0), "{round}: {moment:?}: {output:#?}");
        let verdict = output.json().pop().expect("a verdict");
        let outcome = verdict["outcome"].as_str().expect("a string");
        // The wait is `already` done if it started after the kill.
        assert!(
            ["done", "already"].contains(&outcome),
            "{round}: {output:#?}"
        );
        assert!(cgroup.procs().is_empty(), "{round}: {output:#?}");
    }
}
