//! Waits and kills with a working daemon.

use probe_tests::{
    Cgroup, Daemon, Victim, Waiting, assert_fields, conditions, run, sorted_pids, words,
};
use serde_json::json;

use super::backends;

pub(super) fn socket(daemon: &Daemon) -> &str {
    daemon.socket().to_str().expect("UTF-8")
}

/// A cgroup with two processes, and its child with one.
pub(super) fn populated(label: &str) -> (Cgroup, Cgroup, [Victim; 3]) {
    let cgroup = Cgroup::v2(label);
    let below = cgroup.sub("below");
    let victims = [&cgroup, &cgroup, &below].map(Victim::paused);
    (cgroup, below, victims)
}

pub(super) fn pids(victims: &[Victim]) -> Vec<u32> {
    let mut pids: Vec<_> = victims.iter().map(Victim::pid).collect();
    pids.sort_unstable();
    pids
}

/// An armed wait with this daemon and no other backend, with the words of this line.
fn armed(daemon: &Daemon, line: &str) -> Waiting {
    let required = format!("--backend daemon --socket {}", socket(daemon));
    Waiting::armed(&[words(&required), words(line)].concat())
}

#[test]
#[ignore = "needs root"]
fn a_kill_with_the_daemon_reports_every_exit() {
    let daemon = Daemon::start(&[]);
    let socket = socket(&daemon);
    for backend in ["auto", "daemon"] {
        let (cgroup, _below, victims) = populated("kill");
        let target = format!("--socket {socket} --cgroup {}", cgroup.path());
        let output = run(&format!("kill --json --backend {backend} {target}"));
        let verdict = output.verdict("done");
        assert_fields(
            &verdict,
            &json!({"backend": "daemon", "exits": 3, "lost": 0}),
        );
        assert_eq!(output.exits(), pids(&victims), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn an_unprivileged_user_waits_with_the_daemon_and_sees_no_exit_of_others() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let (cgroup, _below, mut victims) = populated("plain");
    let options = format!("--backend daemon --socket {}", socket(&daemon));
    let line = format!("{options} --cgroup {}", cgroup.path());
    let waiting = Waiting::armed_under(conditions::without_privilege, &line);
    assert_eq!(victims.each_mut().map(Victim::kill), [9; 3]);
    let output = waiting.finish();
    assert_eq!(output.verdict("done")["backend"], "daemon");
    assert_eq!(output.exits(), [0; 0], "{output:#?}");
}

/// The option `--deaf` makes a client ignore every wake-up source but the daemon.
#[test]
#[ignore = "needs root"]
fn an_unprivileged_client_is_woken_by_the_daemon_alone() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let options = format!("--deaf --socket {}", socket(&daemon));
    for (cgroup, mut victim) in Cgroup::both("alone").map(Victim::inside) {
        let line = format!("{options} --cgroup {}", cgroup.path());
        let waiting = Waiting::armed_under(conditions::without_privilege, &line);
        cgroup.kill();
        victim.wait();
        let verdict = waiting.finish().verdict("done");
        assert_eq!(verdict["woken_by"], "daemon", "{verdict}");
        assert_eq!(backends(&verdict).last(), Some(&"daemon"), "{verdict}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_daemon_waits_for_a_cgroup_and_a_process_at_once() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, mut victims) = populated("several");
    let mut alone = Victim::spawn(&["pause"], None);
    let pid = alone.pid();
    let waiting = armed(&daemon, &format!("--cgroup {} {pid}", cgroup.path()));
    alone.kill();
    waiting.assert_running();
    assert_eq!(victims.each_mut().map(Victim::kill), [9; 3]);
    let output = waiting.finish();
    assert_eq!(backends(&output.verdict("done")), ["daemon"], "{output:#?}");
    let mut all = [pids(&victims), vec![pid]].concat();
    all.sort_unstable();
    assert_eq!(output.exits(), all, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_exit_status_of_a_process_comes_from_the_daemon() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let mut victim = Victim::spawn(&["exit", "42"], None);
    let waiting = armed(&daemon, &format!("--status {}", victim.pid()));
    victim.release();
    victim.wait();
    assert_eq!(waiting.finish().code, Some(42));
}

#[test]
#[ignore = "needs root"]
fn a_timeout_with_the_daemon_reports_earlier_exits_and_survivors() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, [mut first, second, third]) = populated("late");
    let waiting = armed(&daemon, &format!("-t 1 --cgroup {}", cgroup.path()));
    first.kill();
    let output = waiting.finish();
    let verdict = output.verdict("timeout");
    assert_eq!(output.exits(), [first.pid()], "{output:#?}");
    let left = sorted_pids(&verdict["survivors"]);
    assert_eq!(left, pids(&[second, third]), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn an_exit_in_two_targets_is_reported_once() {
    let daemon = Daemon::start(&[]);
    let (cgroup, below, victims) = populated("nested");
    let targets = format!("--cgroup {} --cgroup {}", cgroup.path(), below.path());
    let options = format!("--backend daemon --socket {}", socket(&daemon));
    let output = run(&format!("kill --json {options} {targets}"));
    output.verdict("done");
    assert_eq!(output.exits(), pids(&victims), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_any_target_reports_the_exits_of_the_one_that_is_done() {
    let daemon = Daemon::start(&[]);
    let [(one, mut victim), (other, _other)] = ["one", "other"].map(Victim::in_v2);
    let targets = format!("--cgroup {} --cgroup {}", one.path(), other.path());
    let waiting = armed(&daemon, &format!("--any {targets}"));
    victim.kill();
    let output = waiting.finish();
    output.verdict("done");
    assert_eq!(output.exits(), [victim.pid()], "{output:#?}");
}
