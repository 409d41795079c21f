//! Zombies and processes that are stuck while they exit.

use std::fs;

use probe_tests::{
    Cgroup, Deadline, Output, Victim, Waiting, kill, record, requirements, run_in, scale,
    sorted_pids, state, wait_for_state,
};

use super::{BACKENDS, done, in_each_condition, verdict};

/// A parent that reaps no child until it is released, the init of its pid namespace, and
/// another process in that namespace.
fn unreaped() -> (Victim, u32, u32) {
    let mut parent = Victim::spawn(&["held-init"], None);
    parent.release();
    let report = parent.report();
    let other = u32::try_from(record::number(&report, "other")).expect("a pid");
    (parent, record::pid(&report), other)
}

#[test]
#[ignore = "needs root"]
fn an_unreaped_zombie_has_exited_and_its_parent_is_named() {
    in_each_condition(|_, condition| {
        let cgroup = Cgroup::v2("lazy");
        let (mut parent, _, zombie) = unreaped();
        cgroup.add(zombie);
        let target = format!("--cgroup {}", cgroup.path());
        let armed = |line: &str| Waiting::armed_under(condition, line);
        let waits = [
            armed(&target),
            armed(&format!("--until exited {target} {zombie}")),
        ];
        let seconds = scale::emulated_or(8, 1);
        let reaped = armed(&format!("--until reaped -t {seconds} {target}"));
        kill(zombie);
        let _verdicts = waits.map(done);
        assert_parent_is_named(&reaped.finish(), zombie, parent.pid());
        // A wait that starts now cannot know that the zombie was a member.
        for target in [&target, &zombie.to_string()] {
            let line = format!("wait --json -t 0 --until reaped {target}");
            let output = run_in(condition, &line);
            assert_parent_is_named(&output, zombie, parent.pid());
        }
        let last = armed(&format!("--until reaped {target}"));
        parent.release();
        done(last);
        assert_ne!(state(zombie), Some('Z'));
    });
}

fn assert_parent_is_named(output: &Output, zombie: u32, parent: u32) {
    let verdict = verdict(output, "timeout");
    let survivor = &verdict["survivors"][0];
    assert_eq!(sorted_pids(&verdict["survivors"]), [zombie], "{output:#?}");
    assert_eq!(survivor["state"], "Z");
    let reason = survivor["reason"]["text"]
        .as_str()
        .expect("a reason is given");
    assert!(reason.contains(&format!("[{parent}] (")), "{reason}");
    assert!(output.stderr.contains(reason), "{output:#?}");
}

/// The init of a pid namespace becomes a zombie only after all processes in it are reaped.
/// Whether its cgroup is empty until then depends on the kernel, and the verdict agrees.
#[test]
#[ignore = "needs root"]
fn a_cgroup_is_empty_when_the_kernel_says_so_even_if_an_init_is_still_exiting() {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v2("zap");
        let (mut parent, init, other) = unreaped();
        cgroup.add(init);
        cgroup.add(other);
        let empty = Waiting::for_cgroup(condition, &cgroup);
        let exited = Waiting::armed_under(condition, &init.to_string());
        cgroup.kill();
        wait_for_state(other, 'Z');
        until_stuck(init);
        // This wait starts after all events of the exit.
        let late = Waiting::armed_under(condition, &format!("--until exited {init}"));
        exited.assert_running();
        let events = fs::read_to_string(cgroup.file("cgroup.events"));
        if events.expect("v2 has this file").contains("populated 0") {
            done(empty);
            exited.assert_running();
            parent.release();
        } else {
            // From Linux 6.19 on the init leaves the cgroup when it becomes a zombie.
            empty.assert_running();
            parent.release();
            done(empty);
        }
        done(exited);
        done(late);
        parent.wait();
    }
}

/// The lists of v1 may hide a member that is exiting, and the cgroup of a process that is
/// exiting is unknown. A wait for another cgroup still ends before that process does.
#[test]
#[ignore = "needs root"]
fn a_process_of_another_cgroup_that_is_stuck_exiting_delays_a_wait_only_briefly() {
    let (mut parent, init, _) = unreaped();
    kill(init);
    until_stuck(init);
    for (backend, condition) in BACKENDS {
        let cgroup = Cgroup::v1("pids", "stranger");
        let line = format!("wait --json --cgroup {}", cgroup.path());
        let at_once = run_in(condition, &format!("{line} -t 0"));
        verdict(&at_once, "already");
        let output = run_in(condition, &line);
        assert_eq!(output.code, Some(0), "{backend}: {output:#?}");
        let state = state(init);
        let is_exiting = state.is_some_and(|it| it != 'Z');
        assert!(is_exiting, "{state:?}");
    }
    parent.release();
    parent.wait();
}

fn until_stuck(init: u32) {
    Deadline::start().until("the init waits for the others", || {
        let wchan = fs::read_to_string(format!("/proc/{init}/wchan"));
        let wchan = wchan.expect("the process exists");
        if wchan != "0" && !requirements::is_uml() {
            return wchan.contains("zap_pid_ns");
        }
        // 5.10 and UML hide it. There, an init that sleeps without memory of its own waits.
        let words = fs::read(format!("/proc/{init}/cmdline"));
        state(init) == Some('S') && words.is_ok_and(|it| it.is_empty())
    });
}
