//! Processes that hang in their exit: they are listed, and have not moved to another cgroup.

use std::{fs, process::Command};

use probe_tests::{
    Cgroup, Deadline, Output, Victim, Waiting, and_probe, conditions, kernel, probe, probe_in,
    record, requirements,
};
use serde_json::Value;

/// `PF_EXITING`.
const EXITING: u64 = 0x4;

fn has_begun_exit(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is not reaped");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let flags: u64 = fields
        .split(' ')
        .nth(6)
        .and_then(|it| it.parse().ok())
        .expect("flags");
    flags & EXITING != 0
}

/// The init of a pid namespace hangs in its exit until another process of the namespace is
/// reaped. Returns the parent of both, and the two.
fn held_init() -> (Victim, u32, u32) {
    let parent = Victim::start(&["held-init"], None);
    let report = parent.report();
    let other = report["other"]
        .as_u64()
        .and_then(|it| u32::try_from(it).ok());
    (parent, record::pid(&report), other.expect("a pid"))
}

#[test]
#[ignore = "needs root"]
fn a_process_that_hangs_in_its_exit_is_listed_as_exiting_and_is_no_migrant() {
    for (backend, condition) in conditions::BACKENDS {
        let cgroup = Cgroup::v2("hangs");
        let (mut parent, init, other) = held_init();
        for pid in [init, other] {
            cgroup.add(pid);
        }
        let before = &probe(&["ps", "--json", &init.to_string()]).json()[0];
        assert_eq!(before["state"], "running", "{before}");
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        cgroup.kill();
        Deadline::start().until("the init exits", || has_begun_exit(init));
        let listed = probe(&["ps", "--json", &init.to_string()]);
        assert_eq!(
            listed.json()[0]["state"],
            "exiting",
            "{backend}: {listed:#?}"
        );
        let table = probe(&["ps", &init.to_string()]);
        assert!(table.stdout.contains(" exiting "), "{table:#?}");
        // From Linux 6.19 on it leaves its cgroup at the very end.
        let is_last = !kernel::tasks_leave_cgroup_late();
        if is_last {
            let verdict = waiting.finish().verdict("done");
            let migrated = &verdict["migrated"];
            assert!(
                migrated.is_null() || *migrated == Value::Array(vec![]),
                "{verdict}"
            );
            parent.release();
        } else {
            parent.release();
            waiting.finish().verdict("done");
        }
        parent.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_time_namespace_shifts_neither_ages_nor_identities() {
    let in_namespace = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([
            "--time",
            "--boottime",
            "1000000",
            "--monotonic",
            "1000000",
            "--fork",
        ]);
        and_probe(command, args)
    };
    let victim = Victim::start(&["pause"], None);
    let pid = victim.pid().to_string();
    let start = |listed: &Output| listed.json()[0]["start_boottime_ns"].clone();
    let inside = probe_in(&mut in_namespace(&["ps", "--json", &pid]));
    let outside = probe(&["ps", "--json", &pid]);
    assert_eq!(start(&inside), start(&outside), "{inside:#?}");
    if !requirements::has_bpf() {
        return;
    }
    // Without a pidfd only the record has the status, so its process must be recognized.
    let mut victim = Victim::spawn(&["exit", "42"], None);
    let pid = victim.pid().to_string();
    let args = ["--status", "--backend", "bpf", &pid];
    let denied = conditions::denied("pidfd_open", "ENOSYS", &Waiting::args(&args));
    let mut command = Command::new("unshare");
    command.args(["--time", "--boottime", "1000000", "--fork"]);
    command.arg(denied.get_program()).args(denied.get_args());
    let waiting = Waiting::armed_in(&mut command);
    victim.release();
    victim.wait();
    assert_eq!(waiting.finish().code, Some(42));
}
