//! `trace`, `last` and `ps` with a working daemon.

use probe_tests::{Cgroup, Daemon, Deadline, Probe, Victim, conditions, probe, probe_in, record};
use serde_json::Value;

use super::working_daemon::{exits, pids, populated, socket};

#[test]
#[ignore = "needs root"]
fn a_trace_from_the_daemon_equals_a_trace_of_the_clients_own_programs() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("trace");
    let mut trace = Probe::trace(&["-v", "--socket", socket(&daemon), "--cgroup", cgroup.path()]);
    let mut own = Probe::trace(&["--socket", "/no/such/socket", "--cgroup", cgroup.path()]);
    let mut victim = Victim::start(&["exit", "3"], Some(&cgroup));
    victim.wait();
    let pid = victim.pid();
    let (mut received, expected) = (trace.exit_of(pid), own.exit_of(pid));
    // The daemon and the client have programs of their own, which read the clock and the
    // resource usage at different times.
    for field in ["time", "boottime_ns", "age_ns", "usage"] {
        assert_eq!(
            received[field].is_null(),
            expected[field].is_null(),
            "{received}"
        );
        received[field] = expected[field].clone();
    }
    assert_eq!(received, expected);
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
fn last_prints_exits_of_a_removed_cgroup() {
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
fn ps_prints_a_tree_without_a_daemon() {
    let (cgroup, _below, victims) = populated("tree");
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
        let line = lines.iter().find(is_it).expect("a child of the test");
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
    // The name that docker gives a cgroup.
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
        Deadline::start().until("the container is listed with both processes", || {
            found = line();
            found.as_ref().is_some_and(|it| it["live"] == victims.len())
        });
        let line = found.expect("the container is listed");
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
