//! `probe kill --until`, with every backend.

use std::fs;

use probe_tests::{Cgroup, Deadline, Victim, Waiting, conditions, kernel, run_in, state, words};

use super::{assert_done, backends, kill, kill_cgroup, line, verdict};

#[test]
#[ignore = "needs root"]
fn a_cgroup_is_killed_until_each_state_by_each_backend() {
    for &backend in backends() {
        for until in ["exited", "reaped", "empty"] {
            for cgroup in Cgroup::both("until") {
                let below = cgroup.sub("below");
                let victims = [&cgroup, &below].map(Victim::paused);
                let reapers = victims.map(|mut it| std::thread::spawn(move || it.wait()));
                let options = format!("--backend {backend} --until {until} -t 20");
                let output = kill_cgroup(&cgroup, &options);
                assert_done(&output);
                assert_eq!(verdict(&output)["until"], until, "{output:#?}");
                assert_eq!([cgroup.procs(), below.procs()], [[0; 0], [0; 0]]);
                for reaper in reapers {
                    assert_eq!(reaper.join().expect("the thread does not panic"), 9);
                }
            }
        }
    }
}

/// The test is the parent, and reaps the victim only at its end.
#[test]
#[ignore = "needs root"]
fn a_zombie_has_exited_and_is_not_reaped() {
    for &backend in backends() {
        let (cgroup, mut victim) = Victim::in_v2("zombie");
        let pid = victim.pid().to_string();
        let until = format!("--backend {backend} --until");
        for target in [&format!("--cgroup {}", cgroup.path()), &pid] {
            let output = kill(&format!("{until} reaped -t 200ms {target}"));
            assert_eq!(state(victim.pid()), Some('Z'));
            if target == &pid {
                assert_eq!(output.code, Some(3), "{output:#?}");
                let survivor = &verdict(&output)["survivors"][0];
                assert_eq!(survivor["pid"], victim.pid(), "{output:#?}");
                let reason = survivor["reason"]["text"].as_str().unwrap_or_default();
                let parent = std::process::id().to_string();
                assert!(reason.contains(&parent), "{output:#?}");
            }
            let output = kill(&format!("{until} exited -t 20 {target}"));
            assert_eq!(output.code, Some(0), "{output:#?}");
        }
        assert_eq!(victim.wait(), 9);
        let output = kill(&format!("{until} reaped --missing ok {pid}"));
        assert_eq!(verdict(&output)["outcome"], "already", "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_kill_until_removed_waits_for_another_process_to_remove_the_cgroup() {
    for &backend in backends() {
        // From Linux 6.19 on a v1 list is empty before the last process has left.
        let lists_are_right = !kernel::tasks_leave_cgroup_late();
        for (parent, is_sure) in [
            (Cgroup::v2("removed"), true),
            (Cgroup::v1("pids", "removed"), lists_are_right),
        ] {
            let cgroup = parent.sub("below");
            let mut victim = Victim::paused(&cgroup);
            let line = line(&cgroup, &format!("--backend {backend} --until removed"));
            let waiting = Waiting::start(&mut conditions::unrestricted(&words(&line)));
            assert_eq!(victim.wait(), 9);
            cgroup.wait_empty();
            waiting.assert_running();
            let mut removed = fs::remove_dir(cgroup.path());
            assert!(removed.is_ok() || !is_sure, "{removed:?}");
            Deadline::start().until("the cgroup can be removed", || {
                removed.is_ok() || {
                    removed = fs::remove_dir(cgroup.path());
                    removed.is_ok()
                }
            });
            assert_done(&waiting.finish());
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_kill_uses_the_requested_backend() {
    for backend in ["pidfd", "poll"] {
        for (cgroup, mut victim) in Cgroup::both("backend").map(Victim::inside) {
            let line = line(&cgroup, &format!("--backend {backend}"));
            let deadly = |args: &[&str]| conditions::denied("bpf,perf_event_open", "KILL", args);
            let output = run_in(deadly, &line);
            assert_done(&output);
            let served = &verdict(&output)["backend"];
            assert!([backend, "poll"].contains(&served.as_str().expect("a string")));
            assert_eq!(victim.wait(), 9);
        }
    }
}
