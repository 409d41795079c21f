//! Survivors that a wait names after its timeout, and the reasons why they survive.

use probe_tests::{
    Cgroup, FrozenV1, Victim, Waiting, assert_fields, conditions::BACKENDS, run_in, sorted_pids,
    state, wait_for_state,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{assert_already, assert_verdict, look};

#[test]
#[ignore = "needs root"]
fn a_timeout_names_the_survivors() {
    let (cgroup, victim) = Victim::in_v2("timeout");
    wait_for_state(victim.pid(), 'S');
    for (_, condition) in BACKENDS {
        for timeout in ["0", "50ms"] {
            let line = format!("wait --json -t {timeout} --cgroup {}", cgroup.path());
            let output = run_in(condition, &line);
            let survivors = &assert_verdict(&output, "timeout")["survivors"];
            assert_eq!(sorted_pids(survivors), [victim.pid()], "{output:#?}");
            assert_fields(&survivors[0], &json!({"comm": "victim", "state": "S"}));
            output.assert_ended(3, &["still there:", "PID STATE"]);
        }
    }
    assert_already("-t 0", cgroup.sub("empty").path());
}

/// The survivor of a wait that does not end, by its pid.
fn survivor(cgroup: &Cgroup, pid: u32) -> Value {
    let verdict = assert_verdict(&look(cgroup), "timeout");
    let survivors = verdict["survivors"].as_array().expect("an array");
    let survivor = survivors.iter().find(|survivor| survivor["pid"] == pid);
    let survivor = survivor.unwrap_or_else(|| panic!("{pid} is not in {verdict:#}"));
    survivor.clone()
}

/// Asserts the state of this survivor, and that the reason has these words.
fn assert_reason(cgroup: &Cgroup, pid: u32, state: &str, words: &[&str]) {
    let survivor = survivor(cgroup, pid);
    assert_eq!(survivor["state"], state, "{survivor}");
    let reason = survivor["reason"]["text"].as_str().unwrap_or_default();
    for word in words {
        assert!(reason.contains(word), "no '{word}' in {survivor}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_survivor_is_reported_with_the_reason_why_it_survives() {
    let cgroup = Cgroup::v2("reasons");
    let (_vfork, pid) = Victim::ready(&["in-vfork"], &cgroup);
    assert_reason(&cgroup, pid, "D", &["vfork child"]);

    let (tracer, pid) = Victim::ready(&["traced"], &cgroup);
    let tracer = tracer.pid().to_string();
    assert_reason(&cgroup, pid, "t", &["tracer", &tracer]);

    let stopped = Victim::paused(&cgroup);
    stopped.signal(Signal::STOP);
    wait_for_state(stopped.pid(), 'T');
    assert_reason(&cgroup, stopped.pid(), "T", &["stopped"]);

    let (_leaderless, pid) = Victim::ready(&["leader-gone", "0", "ready", "pause"], &cgroup);
    assert_reason(&cgroup, pid, "Z", &["leader", "thread"]);
}

#[test]
#[ignore = "needs root"]
fn a_zombie_does_not_keep_a_cgroup_populated() {
    let cgroup = Cgroup::v2("zombie");
    let (parent, zombie) = Victim::ready(&["zombie"], &cgroup);
    let survivors = &assert_verdict(&look(&cgroup), "timeout")["survivors"];
    assert_eq!(sorted_pids(survivors), [parent.pid()], "{survivors}");

    Cgroup::leave_all(parent.pid());
    assert_already("", cgroup.path());
    assert_eq!(state(zombie), Some('Z'), "the zombie is not reaped");
}

#[test]
#[ignore = "needs root"]
fn a_v1_freezer_is_named_as_the_reason() {
    let (cgroup, victim) = Victim::inside(Cgroup::v1("freezer", "frozen"));
    let frozen = FrozenV1::new(&cgroup);
    victim.signal(Signal::KILL);
    let survivor = survivor(&cgroup, victim.pid());
    let reason = survivor["reason"]["text"].as_str().unwrap_or_default();
    assert!(reason.contains("frozen"), "{survivor}");
    let waiting = Waiting::armed(&["--cgroup", cgroup.path()]);
    drop(frozen);
    assert_verdict(&waiting.finish(), "done");
}
