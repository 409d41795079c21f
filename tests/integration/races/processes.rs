//! The identity of a process after its threads exit or its pid is reused.

use std::{fs, os::fd::AsRawFd};

use probe_tests::{
    Cgroup, ReusedPid, Victim, Waiting, kernel, record, run, run_in, sorted_pids, state,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{BACKENDS, done, survivors, verdict};

/// A cgroup with a process, and a way to reuse the pid of that process.
fn reusable(label: &str) -> (Cgroup, ReusedPid, u32) {
    let cgroup = Cgroup::v2(label);
    let (reused, pid) = ReusedPid::start();
    cgroup.add(pid);
    (cgroup, reused, pid)
}

/// Waits for a cgroup and for its process are not done before the whole process is killed,
/// whatever happens to one of its threads.
fn until_killed(words: &[&str], assert_state: impl Fn(u32)) {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v2("threads");
        let mut victim = Victim::spawn(words, Some(&cgroup));
        let pid = victim.pid();
        let targets = [format!("--cgroup {}", cgroup.path()), pid.to_string()];
        let early = Waiting::armed_under(condition, &targets.join(" "));
        victim.release();
        assert_eq!(record::pid(&victim.report()), pid);
        assert_state(pid);
        let late = Waiting::armed_under(condition, &targets.join(" "));
        for target in &targets {
            let output = run_in(condition, &format!("wait --json -t 0 {target}"));
            let verdict = verdict(&output, "timeout");
            assert_eq!(sorted_pids(&verdict["survivors"]), [pid]);
        }
        early.assert_running();
        late.assert_running();
        let status = victim.kill();
        for waiting in [early, late] {
            let output = waiting.finish();
            let verdict = verdict(&output, "done");
            if verdict["backend"] == "bpf" {
                assert_eq!(output.exits(), [pid], "{output:#?}");
                let mut lines = output.json().into_iter();
                let exit = lines.find(record::is_exit).expect("an exit");
                assert_eq!(record::wait_status(&exit), status);
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
            let (cgroup, mut reused, pid) = reusable("reused");
            let targets = [pid.to_string(), format!("--cgroup {}", cgroup.path())];
            let waits = targets.each_ref().map(|target| {
                Waiting::armed_under(condition, &format!("--until {until} {target}"))
            });
            for wait in &waits {
                wait.stop();
            }
            reused.replace();
            let successor = state(pid);
            assert!(matches!(successor, Some('R' | 'S')), "{successor:?}");
            for wait in &waits {
                wait.resume();
            }
            let _verdicts = waits.map(done);
            // A new wait means the new process.
            assert_eq!(survivors(&targets[0]), [pid]);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_pid_with_an_inode_never_names_a_later_process() {
    if !kernel::has_pidfd_inodes() {
        kernel::inapplicable("pidfds have no inode numbers of their own");
    }
    let (_cgroup, mut reused, pid) = reusable("inode");
    let first = format!("{pid}:{}", inode(pid));
    assert_eq!(survivors(&first), [pid]);
    let waiting = Waiting::armed_under(BACKENDS[0].1, &first);
    reused.replace();
    done(waiting);
    let line = format!("wait --json --pid {first}");
    verdict(&run(&line), "already");
    run(&format!("{line} --must-exist")).assert_refused(4, &[]);
    let second = format!("{pid}:{}", inode(pid));
    assert_ne!(first, second);
    assert_eq!(survivors(&second), [pid]);
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
            let elsewhere = Cgroup::v2("elsewhere");
            let (cgroup, mut reused, pid) = reusable("migrant");
            let mut other = Victim::paused(&cgroup);
            let line = format!("--until {until} --cgroup {}", cgroup.path());
            let waiting = Waiting::armed_under(condition, &line);
            reused.replace();
            elsewhere.add(pid);
            other.kill();
            let verdict = done(waiting);
            if !verdict["migrated"].is_null() {
                assert_eq!(sorted_pids(&verdict["migrated"]), [0; 0], "{verdict}");
            }
        }
    }
}
