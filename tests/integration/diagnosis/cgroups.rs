//! Processes that a cgroup keeps: by its freezer, its CPU quota or its memory limit.

use std::fs;

use probe_tests::{
    Cgroup, Deadline, FrozenV1, Victim, Waiting, conditions, has_v1, inapplicable, run,
};
use rustix::process::Signal;

use super::{assert_hint, assert_text, reason_of};

#[test]
#[ignore = "needs root"]
fn a_frozen_ancestor_of_v2_is_named_with_the_file_that_thaws_it() {
    let outer = Cgroup::v2("frozen");
    let inner = outer.sub("inner");
    let victim = Victim::paused(&inner);
    outer.freeze();
    let reason = reason_of(victim.pid(), "frozen");
    assert_eq!(reason["cgroups"].as_array().map(Vec::len), Some(1));
    assert_eq!(reason["cgroups"][0]["cgroup"], outer.name(), "{reason:#}");
    let file = outer.file("cgroup.freeze").display().to_string();
    assert_hint(&reason, &[&format!("echo 0 > '{file}'")]);
}

#[test]
#[ignore = "needs root"]
fn a_frozen_ancestor_of_v1_is_named_and_a_kill_thaws_it_if_asked() {
    let outer = Cgroup::v1("freezer", "frozen");
    let inner = outer.sub("inner");
    let mut victim = Victim::paused(&inner);
    let frozen = FrozenV1::new(&outer);
    let reason = reason_of(victim.pid(), "frozen");
    assert_eq!(reason["cgroups"][0]["cgroup"], outer.name(), "{reason:#}");
    let file = outer.file("freezer.state").display().to_string();
    assert_hint(&reason, &[&format!("echo THAWED > '{file}'")]);

    // Without a time limit, a kill says why it waits.
    let pid = victim.pid().to_string();
    let kill = Waiting::start(&mut conditions::unrestricted(&["kill", &pid]));
    kill.wait_for_stderr("waiting: 1 is left");
    victim.signal(Signal::KILL);
    let output = run(&format!("kill --thaw {pid}"));
    assert_eq!(output.code, Some(0), "{output:#?}");
    let told = format!("thawed the cgroup {}", outer.name());
    assert!(output.stderr.contains(&told), "{output:#?}");
    assert_eq!(kill.finish().code, Some(0));
    victim.wait();
    drop(frozen);
}

#[test]
#[ignore = "needs root"]
fn a_killed_process_under_a_small_cpu_quota_is_throttled() {
    let cgroup = if has_v1("cpu") {
        let cgroup = Cgroup::v1("cpu", "quota");
        cgroup.write("cpu.cfs_period_us", "1000000");
        cgroup.write("cpu.cfs_quota_us", "1000");
        cgroup
    } else {
        let cgroup = Cgroup::v2("quota");
        if !cgroup.file("cpu.max").exists() {
            cgroup.write("../cgroup.subtree_control", "+cpu");
        }
        cgroup.write("cpu.max", "1000 1000000");
        cgroup
    };
    let is_throttled = || {
        let stat = fs::read_to_string(cgroup.file("cpu.stat")).expect("our own cgroup");
        stat.lines()
            .any(|it| it.starts_with("nr_throttled ") && it != "nr_throttled 0")
    };
    if !cgroup.file("cpu.stat").exists() || is_throttled() {
        inapplicable("this kernel has no CPU quotas");
    }
    let victim = Victim::start(&["spin"], Some(&cgroup));
    Deadline::start().until("the quota is used up", is_throttled);
    // The process may get its next share between the signal and the look.
    let deadline = Deadline::start();
    let mut victim = Some(victim);
    loop {
        let dying = victim.take().expect("always replaced");
        dying.signal(Signal::KILL);
        let output = run(&format!("why --json {}", dying.pid()));
        let survivor = &output.json()[0]["survivors"][0];
        let reason = &survivor["reason"];
        if reason["code"] == "throttled" {
            assert_eq!(reason["cgroup"], cgroup.name(), "{reason:#}");
            assert_eq!(
                (&reason["quota_us"], &reason["period_us"]),
                (&1000.into(), &1_000_000.into())
            );
            assert_text(reason, &["is killed", "CPU quota", "1 ms of each 1000 ms"]);
            return;
        }
        assert!(!deadline.left().is_zero(), "never throttled: {output:#?}");
        drop(dying);
        victim = Some(Victim::start(&["spin"], Some(&cgroup)));
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_at_the_limit_of_a_memory_cgroup_without_an_oom_killer_is_told() {
    if !has_v1("memory") {
        inapplicable("only a memory cgroup of v1 can be without an OOM killer");
    }
    let cgroup = Cgroup::with_memory(8 << 20, "no-oom-killer");
    cgroup.write("memory.oom_control", "1");
    let victim = Victim::start(&["eat"], Some(&cgroup));
    let reason = reason_of(victim.pid(), "memory_limit");
    assert_eq!(reason["cgroup"], cgroup.name(), "{reason:#}");
    let file = cgroup.file("memory.oom_control").display().to_string();
    assert_hint(&reason, &[&format!("echo 0 > '{file}'")]);
}

/// A kernel thread in a cgroup. Dropping it moves the thread back to the root.
struct MovedThread<'a> {
    pid: u32,
    cgroup: &'a Cgroup,
}

impl<'a> MovedThread<'a> {
    /// Moves the first kernel thread that can be moved.
    fn into(cgroup: &'a Cgroup) -> Option<Self> {
        let threads = fs::read_to_string("/proc/2/task/2/children").ok()?;
        let mut threads = threads.split_whitespace().filter_map(|it| it.parse().ok());
        let moved = |pid: &u32| fs::write(cgroup.file("cgroup.procs"), pid.to_string()).is_ok();
        let pid = threads.find(moved)?;
        Some(Self { pid, cgroup })
    }
}

impl Drop for MovedThread<'_> {
    fn drop(&mut self) {
        let root = format!("{}/cgroup.procs", self.cgroup.root());
        let _moved = fs::write(root, self.pid.to_string());
    }
}

#[test]
#[ignore = "needs root"]
fn a_kernel_thread_that_is_a_member_is_told() {
    let cgroup = Cgroup::v1("pids", "kernel-thread");
    let Some(moved) = MovedThread::into(&cgroup) else {
        inapplicable("this kernel lets no kernel thread be moved");
    };
    let reason = reason_of(moved.pid, "kernel_thread");
    assert_hint(&reason, &["cgroup.procs of the root cgroup"]);
    let output = run(&format!("wait -t 0 --json --cgroup {}", cgroup.path()));
    let verdict = output.verdict("timeout");
    assert_eq!(
        verdict["survivors"][0]["reason"]["code"], "kernel_thread",
        "{output:#?}"
    );
}
