//! Survivors that a wait names after its timeout, and the reasons why they survive.

use std::fs;

use probe_tests::{Cgroup, Deadline, Victim, Waiting, conditions::BACKENDS, probe_in, state};
use rustix::process::Signal;
use serde_json::Value;

use super::{assert_verdict, wait};

#[test]
#[ignore = "needs root"]
fn a_timeout_names_the_survivors() {
    let cgroup = Cgroup::v2("timeout");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    Deadline::start().until("the victim sleeps", || state(victim.pid()) == Some('S'));
    for (_, condition) in BACKENDS {
        for timeout in ["0", "50ms"] {
            let args = ["wait", "--json", "-t", timeout, "--cgroup", cgroup.path()];
            let output = probe_in(&mut condition(&args));
            let verdict = assert_verdict(&output, 3, "timeout");
            let survivors = verdict["survivors"].as_array().expect("an array");
            assert_eq!(survivors.len(), 1, "{output:#?}");
            assert_eq!(survivors[0]["pid"], victim.pid());
            assert_eq!(survivors[0]["comm"], "victim");
            assert_eq!(survivors[0]["state"], "S");
            assert!(output.stderr.contains("still there:"), "{output:#?}");
        }
    }
    let empty = cgroup.sub("empty");
    assert_verdict(&wait(&["-t", "0", "--cgroup", empty.path()]), 0, "already");
}

/// The survivor of a wait that does not end, by its pid.
fn survivor(cgroup: &Cgroup, pid: u32) -> Value {
    let output = wait(&["-t", "0", "--cgroup", cgroup.path()]);
    let verdict = assert_verdict(&output, 3, "timeout");
    let survivors = verdict["survivors"].as_array().expect("an array");
    let survivor = survivors.iter().find(|survivor| survivor["pid"] == pid);
    survivor
        .unwrap_or_else(|| panic!("{pid} is not in {output:#?}"))
        .clone()
}

fn assert_reason(survivor: &Value, state: &str, words: &[&str]) {
    assert_eq!(survivor["state"], state, "{survivor}");
    let reason = survivor["reason"].as_str().unwrap_or_default();
    for word in words {
        assert!(reason.contains(word), "no '{word}' in {survivor}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_survivor_is_reported_with_the_reason_why_it_survives() {
    let cgroup = Cgroup::v2("reasons");
    let (_vfork, pid) = Victim::crowd(&["vfork"], &cgroup);
    assert_reason(&survivor(&cgroup, pid), "D", &["uninterruptible", "vfork"]);

    let (tracer, pid) = Victim::crowd(&["traced"], &cgroup);
    assert_reason(
        &survivor(&cgroup, pid),
        "t",
        &["tracer", &tracer.pid().to_string()],
    );

    let stopped = Victim::spawn(&["pause"], Some(&cgroup));
    stopped.signal(Signal::STOP);
    Deadline::start().until("the victim is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", stopped.pid()));
        stat.expect("the process is alive").contains(") T ")
    });
    assert_reason(&survivor(&cgroup, stopped.pid()), "T", &["stopped"]);

    let (_leaderless, pid) = Victim::crowd(&["leaderless"], &cgroup);
    assert_reason(&survivor(&cgroup, pid), "Z", &["leader", "thread"]);
}

#[test]
#[ignore = "needs root"]
fn a_zombie_does_not_keep_a_cgroup_populated() {
    let cgroup = Cgroup::v2("zombie");
    let (parent, zombie) = Victim::crowd(&["zombie"], &cgroup);
    let output = wait(&["-t", "0", "--cgroup", cgroup.path()]);
    let verdict = assert_verdict(&output, 3, "timeout");
    let survivors = verdict["survivors"].as_array().expect("an array");
    let pids: Vec<_> = survivors.iter().map(|it| it["pid"].clone()).collect();
    assert_eq!(pids, [Value::from(parent.pid())], "{output:#?}");

    Cgroup::leave_all(parent.pid());
    assert_verdict(&wait(&["--cgroup", cgroup.path()]), 0, "already");
    let stat = fs::read_to_string(format!("/proc/{zombie}/stat"));
    assert!(stat.expect("the zombie is not reaped").contains(") Z "));
}

/// Thaws the cgroup on drop: a frozen process does not die, so also a failing test must
/// thaw it.
struct Thaw<'a>(&'a Cgroup);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        self.0.write("freezer.state", "THAWED");
    }
}

#[test]
#[ignore = "needs root"]
fn a_v1_freezer_is_named_as_the_reason() {
    let cgroup = Cgroup::v1("freezer", "frozen");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    let _thaw = Thaw(&cgroup);
    cgroup.freeze_v1();
    victim.signal(Signal::KILL);
    let survivor = survivor(&cgroup, victim.pid());
    let reason = survivor["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("frozen"), "{survivor}");
    let waiting = Waiting::armed(&["--cgroup", cgroup.path()]);
    cgroup.write("freezer.state", "THAWED");
    assert_verdict(&waiting.finish(), 0, "done");
}
