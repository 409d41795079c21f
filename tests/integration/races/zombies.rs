//! Zombies and processes that are stuck while they exit.

use std::fs;

use probe_tests::{Cgroup, Deadline, Victim, probe_in, record, requirements, scale, state};
use rustix::process::{Pid, Signal, kill_process};

use super::{BACKENDS, armed, in_each_condition, pids, until_state, verdict};

#[test]
#[ignore = "needs root"]
fn an_unreaped_zombie_has_exited_and_its_parent_is_named() {
    in_each_condition(|_, condition| {
        let cgroup = Cgroup::v2("lazy");
        let mut parent = Victim::spawn(&["held-init"], None);
        parent.release();
        let report = parent.report();
        let zombie = u32::try_from(record::number(&report, "other")).expect("a pid");
        cgroup.add(zombie);
        let path = cgroup.path();
        let number = zombie.to_string();
        let waits = [
            armed(condition, &["--cgroup", path]),
            armed(condition, &["--until", "exited", "--cgroup", path, &number]),
        ];
        let seconds = scale::emulated_or(8, 1).to_string();
        let reaped = ["--until", "reaped", "-t", &seconds, "--cgroup", path];
        let reaped = armed(condition, &reaped);
        kill(zombie);
        for waiting in waits {
            verdict(&waiting.finish(), "done");
        }
        assert_parent_is_named(&reaped.finish(), zombie, parent.pid());
        // A wait that starts now cannot know that the zombie was a member.
        for targets in [&["--cgroup", path][..], &[&number]] {
            let args = [&["wait", "--json", "-t", "0", "--until", "reaped"], targets];
            let output = probe_in(&mut condition(&args.concat()));
            assert_parent_is_named(&output, zombie, parent.pid());
        }
        let last = armed(condition, &["--until", "reaped", "--cgroup", path]);
        parent.release();
        verdict(&last.finish(), "done");
        assert_ne!(state(zombie), Some('Z'));
    });
}

fn assert_parent_is_named(output: &probe_tests::Output, zombie: u32, parent: u32) {
    let verdict = verdict(output, "timeout");
    let survivor = &verdict["survivors"][0];
    assert_eq!(pids(&verdict["survivors"]), [zombie], "{output:#?}");
    assert_eq!(survivor["state"], "Z");
    let reason = survivor["reason"].as_str().expect("a reason is given");
    assert!(reason.contains(&format!("parent {parent} ")), "{reason}");
    assert!(output.stderr.contains(reason), "{output:#?}");
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a pid"), Signal::KILL).expect("not reaped yet");
}

/// The init of a pid namespace becomes a zombie only after all processes in it are reaped.
/// Whether its cgroup is empty until then depends on the kernel, and the verdict agrees.
#[test]
#[ignore = "needs root"]
fn a_cgroup_is_empty_when_the_kernel_says_so_even_if_an_init_is_still_exiting() {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v2("zap");
        let mut parent = Victim::spawn(&["held-init"], None);
        parent.release();
        let report = parent.report();
        let init = record::pid(&report);
        let other = u32::try_from(record::number(&report, "other")).expect("a pid");
        cgroup.add(init);
        cgroup.add(other);
        let empty = armed(condition, &["--cgroup", cgroup.path()]);
        let exited = armed(condition, &[&init.to_string()]);
        cgroup.kill();
        until_state(other, 'Z');
        until_stuck(init);
        // This wait starts after all events of the exit.
        let late = armed(condition, &["--until", "exited", &init.to_string()]);
        exited.assert_running();
        let events = fs::read_to_string(cgroup.file("cgroup.events"));
        if events.expect("v2 has this file").contains("populated 0") {
            verdict(&empty.finish(), "done");
            exited.assert_running();
            parent.release();
        } else {
            // From Linux 6.19 on the init leaves the cgroup when it becomes a zombie.
            empty.assert_running();
            parent.release();
            verdict(&empty.finish(), "done");
        }
        verdict(&exited.finish(), "done");
        verdict(&late.finish(), "done");
        parent.wait();
    }
}

/// The lists of v1 may hide a member that is exiting, and the cgroup of a process that is
/// exiting is unknown. A wait for another cgroup still ends before that process does.
#[test]
#[ignore = "needs root"]
fn a_process_of_another_cgroup_that_is_stuck_exiting_delays_a_wait_only_briefly() {
    let mut parent = Victim::spawn(&["held-init"], None);
    parent.release();
    let init = record::pid(&parent.report());
    kill(init);
    until_stuck(init);
    for (backend, condition) in BACKENDS {
        let cgroup = Cgroup::v1("pids", "stranger");
        let args = ["wait", "--json", "--cgroup", cgroup.path()];
        let at_once = probe_in(&mut condition(&[&args[..], &["-t", "0"]].concat()));
        verdict(&at_once, "already");
        let output = probe_in(&mut condition(&args));
        assert_eq!(output.code, Some(0), "{backend}: {output:#?}");
        let state = state(init);
        assert!(
            state.is_some_and(|it| it != 'Z'),
            "{state:?} is not exiting"
        );
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
