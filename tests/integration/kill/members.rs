//! All members of a cgroup, also those that fork or join during the kill.

use std::fs;

use probe_tests::{
    Cgroup, Deadline, FrozenV1, ReusedPid, Victim, Waiting, assert_fields, conditions, is_alive,
    requirements, scale, wait_for_state, words,
};
use serde_json::json;

use super::{
    assert_done, backends, freezer_state, is_thawed, kill, kill_cgroup, line, shell, stopped_kill,
    verdict,
};

#[test]
#[ignore = "needs root"]
fn a_cgroup_with_children_is_killed_and_removed_on_v2_and_v1() {
    for cgroup in Cgroup::both("kill") {
        let below = cgroup.sub("below");
        let _deeper = below.sub("deeper");
        let mut victims = [&cgroup, &below].map(Victim::paused);
        assert_done(&kill_cgroup(&cgroup, "--rm"));
        assert_eq!(victims.each_mut().map(Victim::wait), [9, 9]);
        assert!(fs::metadata(cgroup.path()).is_err(), "{}", cgroup.path());
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_whose_leader_has_exited_is_killed_though_cgroup_kill_spares_it() {
    let cgroup = Cgroup::v2("leader");
    let mut victim = Victim::start(&["leader-gone", "3", "pause"], Some(&cgroup));
    wait_for_state(victim.pid(), 'Z');
    assert_done(&kill_cgroup(&cgroup, "-t 10"));
    assert_eq!(victim.wait(), 9);
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_keeps_forking_is_emptied_and_left_thawed_on_v2_and_v1() {
    requirements::require_killable_forks();
    for cgroup in [Cgroup::v2("bomb"), Cgroup::v1("freezer", "bomb")] {
        // Each process forks the next one and ends. Whether that outruns the kill, so that
        // it freezes the cgroup, is up to chance.
        let script = "echo 1; f() { (f) & }; f; f; f; f; wait; read _";
        let _bomb = shell(script, &cgroup);
        let output = kill_cgroup(&cgroup, "-t 20");
        assert_done(&output);
        assert!(cgroup.procs().is_empty(), "{output:#?}");
        assert!(is_thawed(&cgroup), "{}", freezer_state(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn several_targets_of_different_kinds_are_killed_in_one_call() {
    let (cgroup, mut member) = Victim::in_v2("several");
    let mut alone = Victim::start(&["pause"], None);
    let targets = format!("--cgroup {} {}", cgroup.path(), alone.pid());
    let output = kill(&format!("{targets} -t 30"));
    assert_done(&output);
    let verdict = verdict(&output);
    assert!(verdict["until"].is_null(), "{output:#?}");
    for target in 0..2 {
        assert_fields(&verdict["targets"][target], &json!({"outcome": "done"}));
    }
    member.wait();
    alone.wait();
}

#[test]
#[ignore = "needs root"]
fn a_kill_with_records_prints_every_exit() {
    requirements::require_bpf();
    let (cgroup, victim) = Victim::in_v2("records");
    let output = kill_cgroup(&cgroup, "--records");
    assert_done(&output);
    assert_eq!(output.exits(), [victim.pid()], "{output:#?}");
}

/// The pids controller of v1 has no freezer.
#[test]
#[ignore = "needs root"]
fn a_fork_bomb_in_a_v1_cgroup_that_cannot_be_frozen_is_killed() {
    requirements::require_killable_forks();
    for &backend in backends() {
        let cgroup = Cgroup::v1("pids", "bomb");
        // A limit, because the killer shares the CPU with processes that always run.
        cgroup.write("pids.max", &scale::emulated_or(20, 1000).to_string());
        let mut bomb = Victim::start(&["bomb"], Some(&cgroup));
        let many = scale::emulated_or(15, 50);
        Deadline::start().until("the bomb has many processes", || {
            cgroup.procs().len() > many
        });
        let seconds = scale::emulated_or(100, 20);
        let options = format!("-t {seconds} --backend {backend}");
        assert_done(&kill_cgroup(&cgroup, &options));
        assert_eq!(cgroup.procs(), [0; 0]);
        assert_eq!(bomb.wait(), 9);
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_joins_during_the_kill_is_signalled_too() {
    for (cgroup, mut first) in Cgroup::both("joins").map(Victim::inside) {
        let mut held = stopped_kill("pidfd_send_signal", &cgroup, "-s TERM");
        let mut late = Victim::paused(&cgroup);
        held.resume();
        assert_eq!([first.wait(), late.wait()], [15, 15]);
        assert_done(&held.finish());
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_joins_after_the_timeout_is_not_signalled() {
    for (cgroup, mut first) in Cgroup::both("up").map(Victim::inside) {
        let mut held = stopped_kill("pidfd_send_signal", &cgroup, "-s TERM -t 0");
        let late = Victim::paused(&cgroup);
        held.resume();
        let output = held.finish();
        assert_eq!(output.code, Some(3), "{output:#?}");
        assert_eq!(first.wait(), 15);
        assert!(is_alive(late.pid()));
    }
}

/// A child that is forked while the list is read joins in the same way.
#[test]
#[ignore = "needs root"]
fn a_process_that_joins_after_all_others_were_signalled_is_killed_too() {
    let (cgroup, mut first) = Victim::inside(Cgroup::v1("pids", "late"));
    let freezer = Cgroup::v1("freezer", "late");
    freezer.add(first.pid());
    let frozen = FrozenV1::new(&freezer);
    // The first process has a pending SIGKILL and cannot act on it while it is frozen.
    let line = line(&cgroup, "-v");
    let waiting = Waiting::armed_in(&mut conditions::unrestricted(&words(&line)));
    let mut late = Victim::paused(&cgroup);
    assert_eq!(late.wait(), 9);
    waiting.assert_running();
    drop(frozen);
    assert_eq!(first.wait(), 9);
    assert_done(&waiting.finish());
}

#[test]
#[ignore = "needs root"]
fn a_process_with_a_reused_pid_of_a_member_is_not_killed() {
    let cgroup = Cgroup::v1("pids", "reused");
    let (mut replaced, pid) = ReusedPid::start();
    cgroup.add(pid);
    // The backend `poll` opens a pidfd only to send the signal.
    let mut held = stopped_kill("pidfd_open", &cgroup, "--backend poll");
    replaced.replace();
    held.resume();
    assert_done(&held.finish());
    assert!(is_alive(pid), "the new process was killed");
}
