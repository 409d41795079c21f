//! Cgroups whose state is easy to get wrong.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use probe_tests::{Cgroup, Victim, Waiting, conditions, record, scale};
use rustix::process::Signal;

use super::{BACKENDS, armed, survivors, verdict};

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
            let waiting = armed(condition, &["--cgroup", cgroup.path()]);
            cgroup.kill();
            let output = waiting.finish();
            fs::remove_dir(cgroup.path())
                .unwrap_or_else(|error| panic!("{error} right after {output:#?}"));
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
        for cgroup in [Cgroup::v2("late"), Cgroup::v1("pids", "late")] {
            let (mut victim, pid) = Victim::crowd(&["1", "1", &mebibytes], &cgroup);
            victim.signal(Signal::KILL);
            let waiting = Waiting::start(&mut condition(&Waiting::args(&[
                "--cgroup",
                cgroup.path(),
                &pid.to_string(),
            ])));
            let output = waiting.finish();
            fs::remove_dir(cgroup.path())
                .unwrap_or_else(|error| panic!("{error} right after {output:#?}"));
            assert_eq!(probe_tests::state(pid), Some('Z'), "{output:#?}");
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
            let cgroup = parent.sub("name");
            let old = cgroup.id();
            let mut first = Victim::spawn(&["pause"], Some(&cgroup));
            let waiting = armed(condition, &["--until", until, "--cgroup", cgroup.path()]);
            waiting.stop();
            first.signal(Signal::KILL);
            first.wait();
            fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
            let cgroup = parent.sub("name");
            assert_ne!(cgroup.id(), old);
            let second = Victim::spawn(&["pause"], Some(&cgroup));
            waiting.resume();
            let verdict = verdict(&waiting.finish(), "done");
            assert_eq!(verdict["targets"][0]["cgroup"]["id"], old);
            assert_eq!(survivors(&["--cgroup", cgroup.path()]), [second.pid()]);
        }
    }
}

/// The kernel never refreshes a v1 list that is read at least once a second through one
/// open file.
#[test]
#[ignore = "needs root"]
fn a_wait_does_not_rely_on_a_cached_v1_list() {
    let cgroup = Cgroup::v1("pids", "list");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let list = File::open(cgroup.file("cgroup.procs")).expect("v1 has this file");
    let read = || {
        let mut bytes = [0; 64];
        let length = list.read_at(&mut bytes, 0).expect("a list of one pid");
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!(read(), victim.pid().to_string());
    victim.signal(Signal::KILL);
    victim.wait();
    assert_eq!(read(), victim.pid().to_string(), "the list is cached");

    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v1("pids", "list");
        let below = cgroup.sub("below");
        let mut victims = [&cgroup, &below].map(|it| Victim::spawn(&["pause"], Some(it)));
        let waiting = armed(condition, &["--cgroup", cgroup.path()]);
        // Many reads of a list that shows the processes.
        wait_in_vain(&cgroup);
        for victim in &mut victims {
            victim.signal(Signal::KILL);
            victim.wait();
        }
        verdict(&waiting.finish(), "done");
    }
}

fn wait_in_vain(cgroup: &Cgroup) {
    let args = ["wait", "--json", "-t", "200ms", "--cgroup", cgroup.path()];
    let output = probe_tests::probe_in(&mut conditions::unrestricted(&args));
    verdict(&output, "timeout");
}

/// The exits that are reported are those of the cgroup, also of later members.
#[test]
#[ignore = "needs root"]
fn a_cgroup_that_was_briefly_empty_is_waited_for_again() {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v2("flicker");
        let mut first = Victim::spawn(&["pause"], Some(&cgroup));
        let waiting = armed(condition, &["--cgroup", cgroup.path()]);
        waiting.stop();
        first.signal(Signal::KILL);
        first.wait();
        let mut second = Victim::spawn(&["pause"], Some(&cgroup));
        waiting.resume();
        // The cgroup was empty while the wait was stopped: only its state now counts.
        assert_eq!(survivors(&["--cgroup", cgroup.path()]), [second.pid()]);
        waiting.assert_running();
        second.signal(Signal::KILL);
        let output = waiting.finish();
        second.wait();
        let verdict = verdict(&output, "done");
        if verdict["backend"] == "bpf" {
            let exits = output.json();
            let exits = exits.iter().filter(|line| record::is_exit(line));
            let pids: Vec<_> = exits.map(record::pid).collect();
            assert_eq!(pids, [first.pid(), second.pid()]);
        }
    }
}
