//! The identity of a process whose threads exit or whose pid is reused.

use std::{fs, os::fd::AsRawFd};

use probe_tests::{Cgroup, ReusedPid, Victim, kernel, probe, probe_in, record, state};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::{BACKENDS, armed, pids, survivors, verdict};

/// Waits for a cgroup and for its process are not done before the whole process is killed,
/// whatever happens to one of its threads.
fn until_killed(words: &[&str], assert_state: impl Fn(u32)) {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v2("threads");
        let mut victim = Victim::spawn(words, Some(&cgroup));
        let pid = victim.pid().to_string();
        let both = ["--cgroup", cgroup.path(), &pid];
        let early = armed(condition, &both);
        victim.release();
        assert_eq!(record::pid(&victim.report()), victim.pid());
        assert_state(victim.pid());
        let late = armed(condition, &both);
        for target in [&both[..2], &both[2..]] {
            let args = [&["wait", "--json", "-t", "0"], target].concat();
            let output = probe_in(&mut condition(&args));
            let verdict = verdict(&output, "timeout");
            assert_eq!(pids(&verdict["survivors"]), [victim.pid()]);
        }
        early.assert_running();
        late.assert_running();
        victim.signal(Signal::KILL);
        let status = victim.wait();
        for waiting in [early, late] {
            let output = waiting.finish();
            let verdict = verdict(&output, "done");
            let lines = output.json();
            let exits: Vec<_> = lines.iter().filter(|it| record::is_exit(it)).collect();
            if verdict["backend"] == "bpf" {
                assert_eq!(exits.len(), 1, "{output:#?}");
                assert_eq!(record::pid(exits[0]), victim.pid());
                assert_eq!(record::wait_status(exits[0]), status);
            }
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_leader_that_exits_first_ends_no_wait() {
    let words = ["leader-gone", "3", "ready", "pause"];
    until_killed(&words, |pid| assert_eq!(state(pid), Some('Z')));
}

#[test]
#[ignore = "needs root"]
fn an_exec_in_another_thread_than_the_leader_ends_no_wait() {
    let words = ["threads", "4", "in-thread", "exec", "ready", "pause"];
    until_killed(&words, |pid| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is alive");
        assert_eq!(tasks.count(), 1, "the exec ended all threads but one");
    });
}

#[test]
#[ignore = "needs root"]
fn a_wait_does_not_follow_a_reused_pid() {
    for (_, condition) in BACKENDS {
        for until in ["exited", "reaped"] {
            let cgroup = Cgroup::v2("reused");
            let (mut replaced, pid) = ReusedPid::start();
            cgroup.add(pid);
            let number = pid.to_string();
            let process = armed(condition, &["--until", until, &number]);
            let members = armed(condition, &["--until", until, "--cgroup", cgroup.path()]);
            process.stop();
            members.stop();
            replaced.replace();
            let successor = state(pid);
            assert!(matches!(successor, Some('R' | 'S')), "{successor:?}");
            process.resume();
            members.resume();
            verdict(&process.finish(), "done");
            verdict(&members.finish(), "done");
            assert_eq!(
                survivors(&[&number]),
                [pid],
                "a new wait means the new process"
            );
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_pid_with_an_inode_never_names_a_later_process() {
    if !kernel::has_pidfd_inodes() {
        kernel::inapplicable("pidfds have no inode numbers of their own");
    }
    let cgroup = Cgroup::v2("inode");
    let (mut replaced, pid) = ReusedPid::start();
    cgroup.add(pid);
    let first = format!("{pid}:{}", inode(pid));
    assert_eq!(survivors(&[&first]), [pid]);
    let waiting = armed(BACKENDS[0].1, &[&first]);
    replaced.replace();
    verdict(&waiting.finish(), "done");
    let args = ["wait", "--json", "--pid", &first];
    verdict(&probe(&args), "already");
    let output = probe(&[&args[..], &["--must-exist"]].concat());
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), ""));
    let second = format!("{pid}:{}", inode(pid));
    assert_ne!(first, second);
    assert_eq!(survivors(&[&second]), [pid]);
}

fn inode(pid: u32) -> u64 {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(pid.expect("a pid"), PidfdFlags::empty()).expect("the process is alive");
    assert!(pidfd.as_raw_fd() >= 0);
    rustix::fs::fstat(&pidfd).expect("fstat succeeds").st_ino
}

/// The new process neither delays the wait nor counts as a migrant, although its pid was a
/// member's and it is moved to another cgroup.
#[test]
#[ignore = "needs root"]
fn a_process_with_a_reused_pid_of_a_member_is_no_migrant() {
    for (_, condition) in BACKENDS {
        for until in ["empty", "exited"] {
            let cgroup = Cgroup::v2("migrant");
            let elsewhere = Cgroup::v2("elsewhere");
            let (mut replaced, pid) = ReusedPid::start();
            cgroup.add(pid);
            let mut other = Victim::spawn(&["pause"], Some(&cgroup));
            let waiting = armed(condition, &["--until", until, "--cgroup", cgroup.path()]);
            replaced.replace();
            elsewhere.add(pid);
            other.signal(Signal::KILL);
            other.wait();
            let verdict = verdict(&waiting.finish(), "done");
            if !verdict["migrated"].is_null() {
                assert_eq!(pids(&verdict["migrated"]), [0; 0], "{verdict}");
            }
        }
    }
}
