//! Waits and kills with a working daemon.

use probe_tests::{Cgroup, Daemon, Output, Victim, Waiting, conditions, probe, record};
use rustix::process::Signal;

use super::backends;

pub(super) fn socket(daemon: &Daemon) -> &str {
    daemon.socket().to_str().expect("UTF-8")
}

/// A cgroup with two processes, and its child with one.
pub(super) fn populated(label: &str) -> (Cgroup, Cgroup, [Victim; 3]) {
    let cgroup = Cgroup::v2(label);
    let below = cgroup.sub("below");
    let victims = [&cgroup, &cgroup, &below].map(|it| Victim::spawn(&["pause"], Some(it)));
    (cgroup, below, victims)
}

pub(super) fn exits(output: &Output) -> Vec<u32> {
    let lines = output.json();
    let mut pids: Vec<_> = lines
        .iter()
        .filter(|it| record::is_exit(it))
        .map(record::pid)
        .collect();
    pids.sort_unstable();
    pids
}

pub(super) fn pids(victims: &[Victim]) -> Vec<u32> {
    let mut pids: Vec<_> = victims.iter().map(Victim::pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
#[ignore = "needs root"]
fn a_kill_with_the_daemon_reports_every_exit() {
    let daemon = Daemon::start(&[]);
    for backend in ["auto", "daemon"] {
        let (cgroup, _below, victims) = populated("kill");
        let args = [
            "kill",
            "--json",
            "--backend",
            backend,
            "--socket",
            socket(&daemon),
        ];
        let output = probe(&[&args[..], &["--cgroup", cgroup.path()]].concat());
        let verdict = output.verdict("done");
        assert_eq!(verdict["backend"], "daemon", "{output:#?}");
        assert_eq!(exits(&output), pids(&victims), "{output:#?}");
        assert_eq!(
            (&verdict["exits"], &verdict["lost"]),
            (&3.into(), &0.into())
        );
    }
}

#[test]
#[ignore = "needs root"]
fn an_unprivileged_user_waits_with_the_daemon_and_sees_no_exit_of_others() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let (cgroup, _below, victims) = populated("plain");
    let args = [
        "--backend",
        "daemon",
        "--socket",
        socket(&daemon),
        "--cgroup",
        cgroup.path(),
    ];
    let waiting = Waiting::armed_in(&mut conditions::without_privilege(&Waiting::args(&args)));
    for mut victim in victims {
        victim.signal(Signal::KILL);
        victim.wait();
    }
    let output = waiting.finish();
    assert_eq!(output.verdict("done")["backend"], "daemon");
    assert_eq!(exits(&output), [0; 0], "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_daemon_waits_for_a_cgroup_and_a_process_at_once() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, mut victims) = populated("several");
    let mut alone = Victim::spawn(&["pause"], None);
    let pid = alone.pid().to_string();
    let args = [
        "--backend",
        "daemon",
        "--socket",
        socket(&daemon),
        "--cgroup",
        cgroup.path(),
        &pid,
    ];
    let waiting = Waiting::armed(&args);
    alone.signal(Signal::KILL);
    alone.wait();
    waiting.assert_running();
    let mut all = pids(&victims);
    for victim in &mut victims {
        victim.signal(Signal::KILL);
        victim.wait();
    }
    let output = waiting.finish();
    assert_eq!(backends(&output.verdict("done")), ["daemon"], "{output:#?}");
    all.push(alone.pid());
    all.sort_unstable();
    assert_eq!(exits(&output), all, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_exit_status_of_a_process_comes_from_the_daemon() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let mut victim = Victim::spawn(&["exit", "42"], None);
    let pid = victim.pid().to_string();
    let args = [
        "--backend",
        "daemon",
        "--socket",
        socket(&daemon),
        "--status",
        &pid,
    ];
    let waiting = Waiting::armed(&args);
    victim.release();
    victim.wait();
    assert_eq!(waiting.finish().code, Some(42));
}

#[test]
#[ignore = "needs root"]
fn a_timeout_with_the_daemon_reports_earlier_exits_and_survivors() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, [mut first, second, third]) = populated("late");
    let args = [
        "--backend",
        "daemon",
        "--socket",
        socket(&daemon),
        "-t",
        "1",
    ];
    let waiting = Waiting::armed(&[&args[..], &["--cgroup", cgroup.path()]].concat());
    first.signal(Signal::KILL);
    first.wait();
    let output = waiting.finish();
    assert_eq!(output.code, Some(3), "{output:#?}");
    assert_eq!(exits(&output), [first.pid()], "{output:#?}");
    let lines = output.json();
    let verdict = lines.last().expect("a verdict");
    let survivors = verdict["survivors"].as_array().expect("a list");
    let mut left: Vec<_> = survivors.iter().map(record::pid).collect();
    left.sort_unstable();
    assert_eq!(left, pids(&[second, third]), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn an_exit_in_two_targets_is_reported_once() {
    let daemon = Daemon::start(&[]);
    let (cgroup, below, victims) = populated("nested");
    let args = [
        "kill",
        "--json",
        "--backend",
        "daemon",
        "--socket",
        socket(&daemon),
    ];
    let targets = ["--cgroup", cgroup.path(), "--cgroup", below.path()];
    let output = probe(&[&args[..], &targets].concat());
    output.verdict("done");
    assert_eq!(exits(&output), pids(&victims), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_any_target_reports_the_exits_of_the_one_that_is_done() {
    let daemon = Daemon::start(&[]);
    let cgroups = ["one", "other"].map(Cgroup::v2);
    let [mut victim, _other] = cgroups
        .each_ref()
        .map(|it| Victim::spawn(&["pause"], Some(it)));
    let args = ["--any", "--backend", "daemon", "--socket", socket(&daemon)];
    let targets = ["--cgroup", cgroups[0].path(), "--cgroup", cgroups[1].path()];
    let waiting = Waiting::armed(&[args.as_slice(), &targets].concat());
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    output.verdict("done");
    assert_eq!(exits(&output), [victim.pid()], "{output:#?}");
}
