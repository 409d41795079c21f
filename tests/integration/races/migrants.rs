//! Processes that leave a cgroup alive: the cgroup is then empty, a container is not gone.

use std::{fs, path::Path};

use probe_tests::{
    Cgroup, Deadline, Runc, Victim, Waiting, record, requirements, scale, sorted_pids, state,
};
use rustix::process::{Pid, Signal, kill_process};

use super::{BACKENDS, done, in_each_condition, verdict};

#[test]
#[ignore = "needs root"]
fn a_process_that_moves_out_is_named_even_if_it_started_after_the_wait() {
    for (backend, condition) in BACKENDS {
        let (cgroup, mut old) = Victim::in_v2("leaves");
        let elsewhere = Cgroup::v2("elsewhere");
        let mut parent = Victim::spawn(&["parent", "ready", "pause"], Some(&cgroup));
        let family = ["parent", "parent", "ready", "pause"];
        let mut grandparent = Victim::spawn(&family, Some(&cgroup));
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        let young = [&mut parent, &mut grandparent].map(|it| {
            it.release();
            record::pid(&it.report())
        });
        for pid in [&[old.pid()], &young[..]].concat() {
            elsewhere.add(pid);
        }
        if backend == "bpf" {
            until_caught_up(&waiting, &cgroup);
        }
        waiting.assert_running();
        cgroup.kill();
        let output = waiting.finish();
        parent.wait();
        grandparent.wait();
        let verdict = verdict(&output, "done");
        // Only BPF sees processes move; the other backends know the earlier members.
        let mut known = vec![old.pid()];
        if backend == "bpf" {
            known.extend(young);
        }
        known.sort_unstable();
        let migrated = sorted_pids(&verdict["migrated"]);
        assert_eq!(migrated, known, "{output:#?}");
        for migrant in verdict["migrated"].as_array().expect("a list") {
            assert_eq!(migrant["cgroup"], elsewhere.name());
            assert!(output.stderr.contains("moved out"), "{output:#?}");
        }
        old.kill();
    }
}

/// Returns when the wait has handled all earlier events: it looks up the parent of a process
/// while that parent is alive. The second exit is reported after everything that came with
/// the first.
fn until_caught_up(waiting: &Waiting, cgroup: &Cgroup) {
    for _ in 0..2 {
        let mut last = Victim::start(&["exit", "0"], Some(cgroup));
        last.wait();
        waiting.wait_for_exit_of(last.pid());
    }
}

/// A wait for the exit of all members includes those that have moved out.
#[test]
#[ignore = "needs root"]
fn a_process_that_moves_out_is_waited_for_until_it_has_exited() {
    let seconds = scale::emulated_or(5, 1);
    in_each_condition(|_, condition| {
        let (cgroup, mut victim) = Victim::in_v2("exits");
        let line = format!("--until exited --cgroup {}", cgroup.path());
        let waiting = Waiting::armed_under(condition, &line);
        let limited = Waiting::armed_under(condition, &format!("{line} -t {seconds}"));
        Cgroup::leave_all(victim.pid());
        let timeout = verdict(&limited.finish(), "timeout");
        assert_eq!(sorted_pids(&timeout["survivors"]), [victim.pid()]);
        waiting.assert_running();
        victim.signal(Signal::KILL);
        done(waiting);
        victim.wait();
    });
}

/// The shell is the container's init. In the pid namespace of the host its children survive
/// it.
const SCRIPT: &str = "sleep 1000 & read line; sleep 1000 & wait";

#[test]
#[ignore = "needs root"]
fn a_wait_for_a_container_includes_processes_that_moved_out() {
    in_each_condition(|backend, condition| {
        let mut container = Runc::in_host_pids(&format!("moves-{backend}"), SCRIPT);
        let target = format!("--container {}", container.name());
        let init = container.state("pid").as_u64().expect("a pid");
        let init = u32::try_from(init).expect("a pid");
        let mut old = Leaving::start(init, &[]);
        let waiting = Waiting::armed_under(condition, &target);
        let seconds = scale::emulated_or(15, 3);
        let limited = Waiting::armed_under(condition, &format!("-t {seconds} {target}"));
        old.leave();
        let mut wanted = vec![old.0];
        let mut young = None;
        if backend == "bpf" && requirements::has_bpf() {
            // This child starts after the wait was armed: only BPF sees it leave.
            container.release();
            let mut second = Leaving::start(init, &wanted);
            second.leave();
            wanted.push(second.0);
            young = Some(second);
        }
        kill(init);
        let timeout = verdict(&limited.finish(), "timeout");
        wanted.sort_unstable();
        assert_eq!(sorted_pids(&timeout["survivors"]), wanted, "{timeout}");
        finish(waiting, [Some(old), young]);
    });
}

/// Ends them one after the other: the wait is done after the last.
fn finish(waiting: Waiting, leaving: [Option<Leaving>; 2]) {
    for leaving in leaving.into_iter().flatten() {
        waiting.assert_running();
        drop(leaving);
    }
    assert_eq!(done(waiting)["until"], "stopped");
}

/// A child of a container's init, which ends when the test does.
struct Leaving(u32);

impl Leaving {
    /// The child of `init` that is not among the others.
    fn start(init: u32, others: &[u32]) -> Self {
        let children = format!("/proc/{init}/task/{init}/children");
        let mut found = None;
        Deadline::start().until("the init has another child", || {
            let children = fs::read_to_string(&children).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|it| it.parse().ok());
            found = children.into_iter().find(|it| !others.contains(it));
            found.is_some()
        });
        Self(found.expect("a child was found"))
    }

    fn leave(&mut self) {
        Cgroup::leave_all(self.0);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if Path::new(&format!("/proc/{}", self.0)).exists() {
            kill(self.0);
            let is_over = || matches!(state(self.0), None | Some('Z' | 'X'));
            Deadline::start().until("the process ends", is_over);
        }
    }
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // The process may be reaped meanwhile.
    let _gone = kill_process(pid.expect("a pid"), Signal::KILL);
}
