//! The real daemon.

use probe_tests::{
    Cgroup, Daemon, Deadline, Output, Probe, Victim, Waiting, conditions, probe, probe_in, record,
};
use rustix::process::Signal;
use serde_json::Value;

use super::{backends, verdict};

pub(super) fn socket(daemon: &Daemon) -> &str {
    daemon.socket().to_str().expect("text")
}

/// Three processes, one of them below.
pub(super) fn prey(label: &str) -> (Cgroup, Cgroup, [Victim; 3]) {
    let cgroup = Cgroup::v2(label);
    let below = cgroup.sub("below");
    let victims = [&cgroup, &cgroup, &below].map(|it| Victim::spawn(&["pause"], Some(it)));
    (cgroup, below, victims)
}

fn exits(output: &Output) -> Vec<u32> {
    let lines = output.json();
    let mut pids: Vec<_> = lines
        .iter()
        .filter(|it| record::is_exit(it))
        .map(record::pid)
        .collect();
    pids.sort_unstable();
    pids
}

fn pids(victims: &[Victim]) -> Vec<u32> {
    let mut pids: Vec<_> = victims.iter().map(Victim::pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
#[ignore = "needs root"]
fn a_kill_by_the_daemon_tells_of_every_exit() {
    let daemon = Daemon::start(&[]);
    for backend in ["auto", "daemon"] {
        let (cgroup, _below, victims) = prey("kill");
        let args = [
            "kill",
            "--json",
            "--backend",
            backend,
            "--socket",
            socket(&daemon),
        ];
        let output = probe(&[&args[..], &["--cgroup", cgroup.path()]].concat());
        let verdict = verdict(&output);
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
fn a_plain_user_waits_by_the_daemon_and_is_told_nothing_of_others() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let (cgroup, _below, victims) = prey("plain");
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
    assert_eq!(verdict(&output)["backend"], "daemon");
    assert_eq!(exits(&output), [0; 0], "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_process_and_several_targets_are_waited_for_by_the_daemon() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, mut victims) = prey("several");
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
    assert_eq!(backends(&verdict(&output)), ["daemon"], "{output:#?}");
    all.push(alone.pid());
    all.sort_unstable();
    assert_eq!(exits(&output), all, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_status_of_a_process_comes_from_the_daemon() {
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
fn a_time_out_by_the_daemon_tells_of_who_ended_until_then() {
    let daemon = Daemon::start(&[]);
    let (cgroup, _below, [mut first, second, third]) = prey("late");
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
fn who_is_in_two_targets_is_told_of_once() {
    let daemon = Daemon::start(&[]);
    let (cgroup, below, victims) = prey("nested");
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
    verdict(&output);
    assert_eq!(exits(&output), pids(&victims), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn any_target_that_is_done_has_its_exits_told() {
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
    verdict(&output);
    assert_eq!(exits(&output), [victim.pid()], "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_trace_by_the_daemon_shows_what_ours_would() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("trace");
    let mut trace = Probe::trace(&["-v", "--socket", socket(&daemon), "--cgroup", cgroup.path()]);
    let mut own = Probe::trace(&["--socket", "/no/such/socket", "--cgroup", cgroup.path()]);
    let mut victim = Victim::start(&["exit", "3"], Some(&cgroup));
    victim.wait();
    let pid = victim.pid();
    let (mut told, expected) = (trace.exit_of(pid), own.exit_of(pid));
    // Each has a program of its own, which reads the clock and the accounts.
    for field in ["time", "boottime_ns", "age_ns", "usage"] {
        assert_eq!(told[field].is_null(), expected[field].is_null(), "{told}");
        told[field] = expected[field].clone();
    }
    assert_eq!(told, expected);
    assert!(
        trace
            .finish()
            .stderr
            .iter()
            .any(|it| it.contains("(daemon)"))
    );
}

#[test]
#[ignore = "needs root"]
fn last_tells_how_something_ended_that_is_gone() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("last");
    let path = cgroup.path().to_owned();
    let mut victims =
        [["exit", "0"], ["exit", "7"]].map(|args| Victim::start(&args, Some(&cgroup)));
    let pids = pids(&victims);
    for victim in &mut victims {
        victim.wait();
    }
    let failed = victims[1].pid();
    drop(cgroup);
    let last = |more: &[&str]| {
        let args = ["last", "--json", "--socket", socket(&daemon)];
        probe(&[&args[..], more].concat())
    };
    assert_eq!(exits(&last(&["--cgroup", &path])), pids);
    assert_eq!(exits(&last(&["--cgroup", &path, "--failed"])), [failed]);
    assert_eq!(exits(&last(&["--cgroup", &path, "-n", "1"])).len(), 1);
    assert_eq!(exits(&last(&["--cgroup", &path, "--since", "0"])), [0; 0]);
    assert_eq!(
        exits(&last(&["--since", "1h", &failed.to_string()])),
        [failed]
    );
    assert_eq!(last(&["--container", "no-such"]).code, Some(4));
}

#[test]
#[ignore = "needs root"]
fn ps_shows_a_tree_with_and_without_a_daemon() {
    let (cgroup, _below, victims) = prey("tree");
    let ps = |more: &[&str]| probe(&[&["ps", "--json", "--socket", "/no/such"], more].concat());
    let lines = ps(&["--cgroup", cgroup.path()]).json();
    let mut shown: Vec<_> = lines.iter().map(record::pid).collect();
    shown.sort_unstable();
    assert_eq!(shown, pids(&victims));
    let own = std::process::id();
    let lines = ps(&[&own.to_string()]).json();
    assert_eq!(
        (record::pid(&lines[0]), &lines[0]["depth"]),
        (own, &0.into())
    );
    for victim in &victims {
        let is_it = |line: &&Value| record::pid(line) == victim.pid();
        let line = lines.iter().find(is_it).expect("our child");
        assert_eq!((&line["depth"], &line["ppid"]), (&1.into(), &own.into()));
    }
    assert_eq!(ps(&["--cgroup", "no/such/cgroup"]).code, Some(4));
    assert_eq!(ps(&["4194304"]).code, Some(4));
    let human = probe(&["ps", "--socket", "/no/such", "--cgroup", cgroup.path()]);
    assert!(
        human.stdout.starts_with("    PID") || human.stdout.contains("PID"),
        "{human:#?}"
    );
    assert!(human.stdout.contains("victim"), "{human:#?}");
}

#[test]
#[ignore = "needs root"]
fn ps_lists_containers_with_and_without_a_daemon() {
    let daemon = Daemon::start(&[]);
    // As docker names it.
    let id = "0123456789abcdef".repeat(4);
    let parent = Cgroup::v2("containers");
    let docker = parent.sub("docker");
    let cgroup = docker.sub(&id);
    let victims = [0, 1].map(|_| Victim::spawn(&["pause"], Some(&cgroup)));
    for (socket, history) in [(socket(&daemon), Some(0)), ("/no/such", None)] {
        let line = || {
            let lines = probe(&["ps", "--json", "--socket", socket]).json();
            lines.into_iter().find(|line| line["id"] == id.as_str())
        };
        let mut found = None;
        Deadline::start().until("it is listed with both processes", || {
            found = line();
            found.as_ref().is_some_and(|it| it["live"] == victims.len())
        });
        let line = found.expect("listed");
        assert_eq!(line["recent_exits"].as_u64(), history, "{line}");
        let tree = probe(&["ps", "--json", "--socket", socket, "--container", &id]).json();
        let mut shown: Vec<_> = tree.iter().map(record::pid).collect();
        shown.sort_unstable();
        assert_eq!(shown, pids(&victims), "{socket}");
    }
    let unprivileged = ["ps", "--json", "--socket", "/no/such", "--container", &id];
    assert_eq!(
        probe_in(&mut conditions::without_privilege(&unprivileged))
            .json()
            .len(),
        2
    );
}
