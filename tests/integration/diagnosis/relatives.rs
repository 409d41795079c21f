//! Processes that wait for another process, or that a signal does not end.

use probe_tests::{Cgroup, Victim, kill, record, run, wait_for_state};
use rustix::process::Signal;
use serde_json::json;

use super::{assert_hint, assert_text, reason_of};

#[test]
#[ignore = "needs root"]
fn a_zombie_that_a_tracer_holds_names_the_tracer() {
    let cgroup = Cgroup::v2("traced-zombie");
    let victim = Victim::start(&["traced-zombie"], Some(&cgroup));
    let report = victim.report();
    let (pid, tracer) = (record::pid(&report), &report["tracer"]);
    let reason = reason_of(pid, "traced_zombie");
    assert_eq!(&reason["tracer"]["pid"], tracer, "{reason:#}");
    assert_text(&reason, &["zombie", &format!("tracer victim[{tracer}]")]);
    assert_hint(&reason, &[&format!("end victim[{tracer}]")]);
}

#[test]
#[ignore = "needs root"]
fn a_zombie_names_its_parent_and_what_the_parent_does() {
    let cgroup = Cgroup::v2("zombie-parent");
    let (parent, pid) = Victim::ready(&["zombie"], &cgroup);
    let reason = reason_of(pid, "zombie");
    assert_eq!(reason["parent"]["pid"], parent.pid(), "{reason:#}");
    assert_eq!(reason["parent"]["state"], "S", "{reason:#}");
    assert_eq!(reason["phase"], "exited", "{reason:#}");
    assert_text(&reason, &[&format!("parent victim[{}] (S", parent.pid())]);
    // The whole machine is searched without a target.
    let output = run("why --json");
    let all = &output.json()[0]["survivors"];
    let all = all.as_array().expect("an array");
    assert!(all.iter().any(|it| it["pid"] == pid), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_stopped_tracee_names_its_tracer() {
    let cgroup = Cgroup::v2("traced");
    let (tracer, pid) = Victim::ready(&["traced"], &cgroup);
    let reason = reason_of(pid, "traced");
    assert_eq!(reason["tracer"]["pid"], tracer.pid(), "{reason:#}");
}

#[test]
#[ignore = "needs root"]
fn a_stopped_process_is_told() {
    let cgroup = Cgroup::v2("stopped");
    let victim = Victim::paused(&cgroup);
    victim.signal(Signal::STOP);
    wait_for_state(victim.pid(), 'T');
    let reason = reason_of(victim.pid(), "stopped");
    assert_hint(&reason, &["SIGCONT"]);
}

#[test]
#[ignore = "needs root"]
fn an_init_waits_for_the_processes_of_its_pid_namespace() {
    let mut parent = Victim::spawn(&["held-init"], None);
    parent.release();
    let report = parent.report();
    let (init, other) = (record::pid(&report), record::number(&report, "other"));
    kill(init);
    let reason = reason_of(init, "pid_namespace");
    assert_eq!(reason["waits_for"][0]["pid"], other, "{reason:#}");
    assert_eq!(reason["why"]["code"], "zombie", "{reason:#}");
    assert_eq!(reason["why"]["parent"]["pid"], parent.pid(), "{reason:#}");
    assert_text(&reason, &["is exiting", &format!("[{other}] is a zombie")]);
    parent.release();
}

#[test]
#[ignore = "needs root"]
fn a_signal_that_ends_nothing_is_told() {
    let cgroup = Cgroup::v2("fates");
    let fate = |words: &[&str]| {
        let (victim, pid) = Victim::ready(&[words, &["ready", "pause"]].concat(), &cgroup);
        let output = run(&format!("kill -s TERM -t 0.1 --json {pid}"));
        let verdict = output.verdict("timeout");
        let reason = verdict["survivors"][0]["reason"].clone();
        assert_eq!(reason["code"], "signal", "{output:#?}");
        assert_eq!(reason["signal"], "SIGTERM", "{output:#?}");
        assert_eq!(reason["hint"], json!("SIGKILL ends it"));
        drop(victim);
        reason["fate"].clone()
    };
    assert_eq!(fate(&["ignoring", "15"]), "ignored");
    assert_eq!(fate(&["blocking", "15"]), "blocked");
    assert_eq!(fate(&["catching", "15"]), "handled");
}

#[test]
#[ignore = "needs root"]
fn an_init_without_a_handler_drops_the_signal() {
    let parent = Victim::start(&["pid-namespace", "ready", "pause"], None);
    let pid = record::pid(&parent.report());
    let reason = reason_of(pid, "signal");
    assert_eq!(reason["fate"], "dropped", "{reason:#}");
    assert_text(&reason, &["pid 1 of its pid namespace"]);
    kill(pid);
}
