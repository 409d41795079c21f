//! `--rm`: removal of the cgroups once they are empty.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Output, Stopped, Victim, Waiting, conditions, is_alive, words};
use rustix::process::Signal;
use serde_json::Value;

use super::{assert_done, kill_cgroup, line, stopped_kill, verdict};

/// A file system mounted on a cgroup, which keeps the empty cgroup busy.
struct Mounted<'a>(&'a Cgroup);

impl<'a> Mounted<'a> {
    fn on(cgroup: &'a Cgroup) -> Self {
        succeed(&["mount", "-t", "tmpfs", "probe-test", cgroup.path()]);
        Self(cgroup)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        succeed(&["umount", self.0.path()]);
    }
}

fn succeed(args: &[&str]) {
    let done = Command::new(args[0]).args(&args[1..]).status();
    assert!(done.expect("the process runs").success(), "{args:?}");
}

fn exists(cgroup: &Cgroup) -> bool {
    Path::new(cgroup.path()).exists()
}

/// A kill held after it found the cgroup empty and before its first `rmdir`.
fn removing(cgroup: &Cgroup, options: &str) -> (Stopped, Victim) {
    let victim = Victim::paused(cgroup);
    let held = stopped_kill("unlinkat", cgroup, &format!("--rm {options}"));
    assert_eq!(cgroup.procs(), [0; 0]);
    (held, victim)
}

/// Asserts that a kill ended without removing the cgroup, and returns its verdict.
fn assert_not_removed(output: &Output, target: &str, hint: &str) -> Value {
    output.assert_ended(1, &["cannot remove", hint]);
    let verdict = verdict(output);
    assert_eq!(verdict["outcome"], "not_removed", "{output:#?}");
    assert_eq!(verdict["targets"][0]["outcome"], target, "{output:#?}");
    verdict
}

/// Asserts that a kill is done when this happens before its first `rmdir`, for cgroups of both
/// versions that each have a child.
fn assert_done_although(label: &str, happens: impl Fn(&Cgroup, &Cgroup), is_left: bool) {
    for cgroup in Cgroup::both(label) {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, "");
        happens(&cgroup, &below);
        held.resume();
        assert_done(&held.finish());
        assert_eq!(exists(&cgroup), is_left, "{}", cgroup.path());
    }
}

fn remove(cgroup: &Cgroup) {
    fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
}

#[test]
#[ignore = "needs root"]
fn a_busy_cgroup_is_not_removed_and_the_timeout_is_kept() {
    let cgroup = Cgroup::v2("busy");
    let below = cgroup.sub("below");
    let mounted = Mounted::on(&below);
    let kept = below.file("kept");
    fs::create_dir(&kept).expect("a tmpfs");
    let output = kill_cgroup(&cgroup, "--rm -t 300ms");
    let is_kept = kept.is_dir();
    drop(mounted);
    assert!(is_kept, "probe removed a directory of another file system");
    assert_not_removed(&output, "already", "hint: ");
}

#[test]
#[ignore = "needs root"]
fn a_process_that_joins_before_the_removal_is_spared_and_named() {
    for cgroup in Cgroup::both("joined") {
        let (mut held, _victim) = removing(&cgroup, "-t 2");
        let late = Victim::paused(&cgroup);
        held.resume();
        let output = held.finish();
        assert!(exists(&cgroup) && is_alive(late.pid()));
        let verdict =
            assert_not_removed(&output, "done", "hint: a process was moved into the cgroup");
        assert_eq!(verdict["survivors"][0]["pid"], late.pid(), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_removal_without_a_timeout_waits_for_processes_that_joined() {
    for cgroup in Cgroup::both("patient") {
        let (mut held, _victim) = removing(&cgroup, "");
        let mut late = Victim::paused(&cgroup);
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
    let create = |cgroup: &Cgroup, below: &Cgroup| {
        // The first `rmdir` is that of the child.
        for parent in [below, cgroup] {
            fs::create_dir(parent.file("created")).expect("the name is free");
        }
    };
    assert_done_although("deeper", create, false);
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_removed_by_another_process_meanwhile_counts_as_removed() {
    for cgroup in Cgroup::both("another") {
        let (mut held, _victim) = removing(&cgroup, "");
        remove(&cgroup);
        held.resume();
        assert_done(&held.finish());
    }
    let remove_all = |cgroup: &Cgroup, below: &Cgroup| [below, cgroup].into_iter().for_each(remove);
    assert_done_although("others", remove_all, false);
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_recreated_under_the_same_name_is_not_removed() {
    let recreate = |cgroup: &Cgroup, below: &Cgroup| {
        remove(below);
        remove(cgroup);
        fs::create_dir(cgroup.path()).expect("the name is free");
    };
    assert_done_although("again", recreate, true);
}

#[test]
#[ignore = "needs root"]
fn an_interrupt_ends_the_removal() {
    for signal in [Signal::INT, Signal::TERM] {
        // On v1 the members of a hidden cgroup cannot be signalled, so the kill is refused.
        let cgroup = Cgroup::v2("interrupt");
        let below = cgroup.sub("below");
        let _mounted = Mounted::on(&below);
        let _victim = Victim::paused(&cgroup);
        let line = line(&cgroup, "--rm");
        let waiting = Waiting::start(&mut conditions::unrestricted(&words(&line)));
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

#[test]
#[ignore = "needs root"]
fn a_v1_cgroup_that_is_renamed_during_the_kill_is_removed() {
    let parent = Cgroup::v1("pids", "rename");
    for is_replaced in [false, true] {
        let cgroup = parent.sub("before");
        let _below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, "");
        let after = parent.file("after");
        fs::rename(cgroup.path(), &after).expect("v1 can rename a cgroup");
        if is_replaced {
            fs::create_dir(cgroup.path()).expect("root may do this");
        }
        held.resume();
        let output = held.finish();
        verdict(&output);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert!(!after.exists(), "{output:#?}");
        assert_eq!(exists(&cgroup), is_replaced, "another cgroup has the name");
    }
}

#[test]
#[ignore = "needs root"]
fn the_verdict_for_people_says_that_a_cgroup_is_removed() {
    let cgroup = Cgroup::v2("said");
    let _victim = Victim::paused(&cgroup);
    let name = cgroup.name();
    let kill = ["kill", "--rm", "--cgroup", cgroup.path()];
    let output = Waiting::start(&mut conditions::unrestricted(&kill)).finish();
    output.assert_ended(0, &[]);
    let verdict = output.stdout.lines().last().unwrap_or_default();
    assert!(
        verdict.starts_with(&format!("{name} is removed after ")),
        "{output:#?}"
    );
    let again = [&kill[..], &["--missing", "ok"]].concat();
    let output = Waiting::start(&mut conditions::unrestricted(&again)).finish();
    let verdict = output.stdout.lines().last().unwrap_or_default();
    assert!(
        verdict.starts_with(&format!("{name} did not exist after ")),
        "{output:#?}"
    );
}
