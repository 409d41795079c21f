//! Cgroups with a state that is easy to get wrong.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use probe_tests::{Cgroup, Output, Victim, Waiting, record, run, run_in, scale, state};
use rustix::process::Signal;

use super::{BACKENDS, done, survivors, verdict};

fn assert_removable(cgroup: &Cgroup, output: &Output) {
    let removed = fs::remove_dir(cgroup.path());
    removed.unwrap_or_else(|error| panic!("{error} right after {output:#?}"));
}

/// The kernel reports an exit long before it has freed this much memory, and only then
/// does the process leave its cgroup.
#[test]
#[ignore = "needs root"]
fn rmdir_works_right_after_the_verdict_on_a_large_process() {
    let mebibytes = scale::emulated_or(16, 512).to_string();
    for (_, condition) in BACKENDS {
        for _ in 0..scale::rounds(3) {
            let cgroup = Cgroup::v2("large");
            let (mut victim, _) = Victim::crowd(&["1", "1", &mebibytes], &cgroup);
            let waiting = Waiting::for_cgroup(condition, &cgroup);
            cgroup.kill();
            let output = waiting.finish();
            assert_removable(&cgroup, &output);
            verdict(&output, "done");
            victim.wait();
        }
    }
}

/// The exit event precedes the wait.
#[test]
#[ignore = "needs root"]
fn a_wait_started_after_the_exit_event_ends_with_the_right_verdict() {
    let mebibytes = scale::emulated_or(16, 1024).to_string();
    for (_, condition) in BACKENDS {
        for cgroup in Cgroup::both("late") {
            let (mut victim, pid) = Victim::crowd(&["1", "1", &mebibytes], &cgroup);
            victim.signal(Signal::KILL);
            let line = format!("wait --json --cgroup {} {pid}", cgroup.path());
            let output = run_in(condition, &line);
            assert_removable(&cgroup, &output);
            assert_eq!(state(pid), Some('Z'), "{output:#?}");
            assert_eq!(output.code, Some(0), "{output:#?}");
            victim.wait();
        }
    }
}

/// The wait is stopped meanwhile, and afterwards finds another, populated cgroup under
/// that name.
#[test]
#[ignore = "needs root"]
fn a_cgroup_recreated_under_the_same_name_is_another() {
    for (_, condition) in BACKENDS {
        for until in ["empty", "removed", "exited", "reaped"] {
            let parent = Cgroup::v2("again");
            let (cgroup, mut first) = Victim::inside(parent.sub("name"));
            let old = cgroup.id();
            let target = format!("--cgroup {}", cgroup.path());
            let waiting = Waiting::armed_under(condition, &format!("--until {until} {target}"));
            waiting.stop();
            first.kill();
            fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
            let (cgroup, second) = Victim::inside(parent.sub("name"));
            assert_ne!(cgroup.id(), old);
            waiting.resume();
            assert_eq!(done(waiting)["targets"][0]["cgroup"]["id"], old);
            assert_eq!(survivors(&target), [second.pid()]);
        }
    }
}

/// The kernel never refreshes a v1 list that is read at least once a second through one
/// open file.
#[test]
#[ignore = "needs root"]
fn a_wait_does_not_rely_on_a_cached_v1_list() {
    let (cgroup, mut victim) = Victim::inside(Cgroup::v1("pids", "list"));
    let list = File::open(cgroup.file("cgroup.procs")).expect("v1 has this file");
    let read = || {
        let mut bytes = [0; 64];
        let length = list.read_at(&mut bytes, 0).expect("a list of one pid");
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!(read(), victim.pid().to_string());
    victim.kill();
    assert_eq!(read(), victim.pid().to_string(), "the list is cached");

    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v1("pids", "list");
        let below = cgroup.sub("below");
        let mut victims = [&cgroup, &below].map(Victim::paused);
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        // Many reads of a list that shows the processes.
        let line = format!("wait --json -t 200ms --cgroup {}", cgroup.path());
        verdict(&run(&line), "timeout");
        assert_eq!(victims.each_mut().map(Victim::kill), [9; 2]);
        done(waiting);
    }
}

/// The exits that are reported are those of the cgroup, also of later members.
#[test]
#[ignore = "needs root"]
fn a_cgroup_that_was_briefly_empty_is_waited_for_again() {
    for (_, condition) in BACKENDS {
        let (cgroup, mut first) = Victim::in_v2("flicker");
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        waiting.stop();
        first.kill();
        let mut second = Victim::paused(&cgroup);
        waiting.resume();
        // The cgroup was empty while the wait was stopped: only its state now counts.
        let target = format!("--cgroup {}", cgroup.path());
        assert_eq!(survivors(&target), [second.pid()]);
        waiting.assert_running();
        second.signal(Signal::KILL);
        let output = waiting.finish();
        second.wait();
        let verdict = verdict(&output, "done");
        if verdict["backend"] == "bpf" {
            let mut exits = output.json();
            exits.retain(record::is_exit);
            let pids: Vec<_> = exits.iter().map(record::pid).collect();
            assert_eq!(pids, [first.pid(), second.pid()]);
        }
    }
}
