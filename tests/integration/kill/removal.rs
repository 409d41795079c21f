//! `--rm`: removal of the cgroups once they are empty.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Stopped, Victim, Waiting, conditions};
use rustix::process::Signal;

use super::{assert_done, is_alive, kill, verdict};

/// A file system mounted on a cgroup, which keeps the empty cgroup busy.
struct Mounted<'a>(&'a Cgroup);

impl<'a> Mounted<'a> {
    fn on(cgroup: &'a Cgroup) -> Self {
        run(&["mount", "-t", "tmpfs", "probe-test", cgroup.path()]);
        Self(cgroup)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run(&["umount", self.0.path()]);
    }
}

fn run(args: &[&str]) {
    let done = Command::new(args[0]).args(&args[1..]).status();
    assert!(done.expect("the process runs").success(), "{args:?}");
}

fn both(name: &str) -> [Cgroup; 2] {
    [Cgroup::v2(name), Cgroup::v1("pids", name)]
}

fn exists(cgroup: &Cgroup) -> bool {
    Path::new(cgroup.path()).exists()
}

/// A kill held after it found the cgroup empty and before its first `rmdir`.
fn removing(cgroup: &Cgroup, more: &[&str]) -> (Stopped, Victim) {
    let victim = Victim::start(&["pause"], Some(cgroup));
    let args = ["kill", "--json", "--rm", "--cgroup", cgroup.path()];
    let held = Stopped::at("unlinkat", &[&args[..], more].concat());
    assert_eq!(cgroup.procs(), [0; 0]);
    (held, victim)
}

#[test]
#[ignore = "needs root"]
fn a_busy_cgroup_is_not_removed_and_the_timeout_is_kept() {
    let cgroup = Cgroup::v2("busy");
    let below = cgroup.sub("below");
    let mounted = Mounted::on(&below);
    let kept = below.file("kept");
    fs::create_dir(&kept).expect("a tmpfs");
    let output = kill(&["--rm", "-t", "300ms", "--cgroup", cgroup.path()]);
    let is_kept = kept.is_dir();
    drop(mounted);
    assert!(
        is_kept,
        "probe removed a directory of the mounted file system"
    );
    assert_eq!(output.code, Some(1), "{output:#?}");
    let verdict = verdict(&output);
    assert_eq!(verdict["outcome"], "not_removed", "{output:#?}");
    assert_eq!(verdict["targets"][0]["outcome"], "already", "{output:#?}");
    assert!(output.stderr.contains("cannot remove"), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_process_that_joins_before_the_removal_is_spared_and_named() {
    for cgroup in both("joined") {
        let (mut held, _victim) = removing(&cgroup, &["-t", "2"]);
        let late = Victim::start(&["pause"], Some(&cgroup));
        held.resume();
        let output = held.finish();
        assert_eq!(output.code, Some(1), "{output:#?}");
        assert!(exists(&cgroup) && is_alive(late.pid()));
        let verdict = verdict(&output);
        assert_eq!(verdict["outcome"], "not_removed", "{output:#?}");
        assert_eq!(verdict["targets"][0]["outcome"], "done", "{output:#?}");
        assert_eq!(verdict["survivors"][0]["pid"], late.pid(), "{output:#?}");
        assert!(output.stderr.contains("cannot remove"), "{output:#?}");
        assert!(
            output.stderr.contains("hint: a process was moved into it"),
            "{output:#?}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn a_removal_without_a_timeout_waits_for_processes_that_joined() {
    for cgroup in both("patient") {
        let (mut held, _victim) = removing(&cgroup, &[]);
        let mut late = Victim::start(&["pause"], Some(&cgroup));
        held.resume();
        let line = held.next_stderr_line();
        assert!(line.contains("is busy: trying again"), "{line}");
        assert!(is_alive(late.pid()));
        late.signal(Signal::TERM);
        late.wait();
        assert_done(&held.finish());
        assert!(!exists(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn a_child_cgroup_created_meanwhile_is_removed_too() {
    for cgroup in both("deeper") {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, &[]);
        // The first `rmdir` is that of the child.
        let _deeper = below.sub("deeper");
        let _beside = cgroup.sub("beside");
        held.resume();
        assert_done(&held.finish());
        assert!(!exists(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_removed_by_another_process_meanwhile_counts_as_removed() {
    for cgroup in both("another") {
        let (mut held, _victim) = removing(&cgroup, &[]);
        fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
        held.resume();
        assert_done(&held.finish());
    }
    for cgroup in both("others") {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, &[]);
        for directory in [below.path(), cgroup.path()] {
            fs::remove_dir(directory).expect("the cgroup is empty");
        }
        held.resume();
        assert_done(&held.finish());
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_recreated_under_the_same_name_is_not_removed() {
    for cgroup in both("again") {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, &[]);
        for directory in [below.path(), cgroup.path()] {
            fs::remove_dir(directory).expect("the cgroup is empty");
        }
        fs::create_dir(cgroup.path()).expect("the name is free");
        held.resume();
        assert_done(&held.finish());
        assert!(exists(&cgroup), "probe removed the new cgroup");
    }
}

#[test]
#[ignore = "needs root"]
fn an_interrupt_ends_the_removal() {
    for signal in [Signal::INT, Signal::TERM] {
        for cgroup in both("interrupt") {
            let below = cgroup.sub("below");
            let _mounted = Mounted::on(&below);
            let _victim = Victim::start(&["pause"], Some(&cgroup));
            let args = ["kill", "--json", "--rm", "--cgroup", cgroup.path()];
            let waiting = Waiting::start(&mut conditions::unrestricted(&args));
            waiting.wait_for_stderr("is busy: trying again");
            waiting.signal(signal);
            let output = waiting.finish();
            assert_eq!(output.signal, Some(signal.as_raw()), "{output:#?}");
            let verdict = verdict(&output);
            assert_eq!(verdict["outcome"], "interrupted", "{output:#?}");
            assert_eq!(verdict["targets"][0]["outcome"], "done", "{output:#?}");
            assert!(exists(&cgroup));
        }
    }
}
