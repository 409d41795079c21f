//! All members of a cgroup, also those that fork or join during the kill.

use std::fs;

use probe_tests::{
    Cgroup, Deadline, ReusedPid, Stopped, Victim, Waiting, conditions, record, requirements, scale,
};

use super::{assert_done, backends, is_alive, kill, shell, verdict};

#[test]
#[ignore = "needs root"]
fn a_cgroup_with_children_is_killed_and_removed_on_v2_and_v1() {
    for cgroup in [Cgroup::v2("kill"), Cgroup::v1("pids", "kill")] {
        let below = cgroup.sub("below");
        let _deeper = below.sub("deeper");
        let mut victims = [&cgroup, &below].map(|it| Victim::start(&["pause"], Some(it)));
        assert_done(&kill(&["--rm", "--cgroup", cgroup.path()]));
        assert_eq!(victims.each_mut().map(Victim::wait), [9, 9]);
        assert!(fs::metadata(cgroup.path()).is_err(), "{}", cgroup.path());
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_whose_leader_has_exited_is_killed_though_cgroup_kill_spares_it() {
    let cgroup = Cgroup::v2("leader");
    let mut victim = Victim::start(&["leader-gone", "3", "pause"], Some(&cgroup));
    let stat = format!("/proc/{}/stat", victim.pid());
    Deadline::start().until("the leader has exited", || {
        fs::read_to_string(&stat).is_ok_and(|it| it.contains(") Z "))
    });
    assert_done(&kill(&["-t", "10", "--cgroup", cgroup.path()]));
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
        let output = kill(&["-t", "20", "--cgroup", cgroup.path()]);
        assert_done(&output);
        assert!(cgroup.procs().is_empty(), "{output:#?}");
        let state = ["cgroup.freeze", "freezer.state"].map(|it| cgroup.file(it));
        let state = state.iter().find_map(|it| fs::read_to_string(it).ok());
        let state = state.expect("both have a freezer");
        assert!(["0", "THAWED"].contains(&state.trim()), "{state}");
    }
}

#[test]
#[ignore = "needs root"]
fn several_targets_of_different_kinds_are_killed_in_one_call() {
    let cgroup = Cgroup::v2("several");
    let mut member = Victim::start(&["pause"], Some(&cgroup));
    let mut alone = Victim::start(&["pause"], None);
    let pid = alone.pid().to_string();
    let output = kill(&["--cgroup", cgroup.path(), &pid, "-t", "30"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let verdict = verdict(&output);
    assert_eq!(verdict["outcome"], "done", "{output:#?}");
    assert!(verdict["until"].is_null(), "{output:#?}");
    assert_eq!(verdict["targets"][0]["outcome"], "done", "{output:#?}");
    assert_eq!(verdict["targets"][1]["outcome"], "done", "{output:#?}");
    member.wait();
    alone.wait();
}

#[test]
#[ignore = "needs root"]
fn a_kill_with_records_prints_every_exit() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("records");
    let victim = Victim::start(&["pause"], Some(&cgroup));
    let output = kill(&["--records", "--cgroup", cgroup.path()]);
    assert_done(&output);
    let exits: Vec<_> = output.json().into_iter().filter(record::is_exit).collect();
    assert_eq!(exits.len(), 1, "{output:#?}");
    assert_eq!(exits[0]["pid"], victim.pid());
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
        let mut bomb = Victim::start_as("crowd", &["bomb"], Some(&cgroup));
        let many = scale::emulated_or(15, 50);
        Deadline::start().until("the bomb has many processes", || {
            cgroup.procs().len() > many
        });
        let seconds = if scale::is_emulated() { "100" } else { "20" };
        let output = kill(&[
            "-t",
            seconds,
            "--backend",
            backend,
            "--cgroup",
            cgroup.path(),
        ]);
        assert_done(&output);
        assert_eq!(cgroup.procs(), [0; 0]);
        assert_eq!(bomb.wait(), 9);
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_joins_during_the_kill_is_signalled_too() {
    for cgroup in [Cgroup::v2("joins"), Cgroup::v1("pids", "joins")] {
        let mut first = Victim::start(&["pause"], Some(&cgroup));
        let args = ["kill", "--json", "-s", "TERM", "--cgroup", cgroup.path()];
        let mut held = Stopped::at("pidfd_send_signal", &args);
        let mut late = Victim::start(&["pause"], Some(&cgroup));
        held.resume();
        assert_eq!([first.wait(), late.wait()], [15, 15]);
        assert_done(&held.finish());
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_joins_after_the_timeout_is_not_signalled() {
    for cgroup in [Cgroup::v2("up"), Cgroup::v1("pids", "up")] {
        let mut first = Victim::start(&["pause"], Some(&cgroup));
        let args = ["kill", "--json", "-s", "TERM", "-t", "0"];
        let args = [&args[..], &["--cgroup", cgroup.path()]].concat();
        let mut held = Stopped::at("pidfd_send_signal", &args);
        let late = Victim::start(&["pause"], Some(&cgroup));
        held.resume();
        let output = held.finish();
        assert_eq!(output.code, Some(3), "{output:#?}");
        assert_eq!(first.wait(), 15);
        assert!(is_alive(late.pid()));
    }
}

/// A frozen v1 cgroup: not even SIGKILL ends its members before this is dropped.
struct Frozen<'a>(&'a Cgroup);

impl<'a> Frozen<'a> {
    fn new(cgroup: &'a Cgroup) -> Self {
        let frozen = Self(cgroup);
        cgroup.freeze_v1();
        frozen
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.write("freezer.state", "THAWED");
    }
}

/// A child that is forked while the list is read joins in the same way.
#[test]
#[ignore = "needs root"]
fn a_process_that_joins_after_all_others_were_signalled_is_killed_too() {
    let cgroup = Cgroup::v1("pids", "late");
    let freezer = Cgroup::v1("freezer", "late");
    let mut first = Victim::start(&["pause"], Some(&cgroup));
    freezer.add(first.pid());
    let frozen = Frozen::new(&freezer);
    // The first process has a pending SIGKILL and cannot act on it while it is frozen.
    let args = ["kill", "--json", "-v", "--cgroup", cgroup.path()];
    let waiting = Waiting::armed_in(&mut conditions::unrestricted(&args));
    let mut late = Victim::start(&["pause"], Some(&cgroup));
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
    let args = [
        "kill",
        "--json",
        "--backend",
        "poll",
        "--cgroup",
        cgroup.path(),
    ];
    let mut held = Stopped::at("pidfd_open", &args);
    replaced.replace();
    held.resume();
    assert_done(&held.finish());
    assert!(is_alive(pid), "the new process was killed");
}
