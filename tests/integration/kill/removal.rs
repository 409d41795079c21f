//! `--rm`: what becomes of the cgroups when they are empty.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Stopped, Victim, Waiting, conditions};
use rustix::process::Signal;

use super::{assert_done, is_alive, kill, verdict};

/// A file system on a cgroup, which keeps that busy though nobody is in it.
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
    assert!(done.expect("it runs").success(), "{args:?}");
}

fn both(name: &str) -> [Cgroup; 2] {
    [Cgroup::v2(name), Cgroup::v1("pids", name)]
}

fn is_there(cgroup: &Cgroup) -> bool {
    Path::new(cgroup.path()).exists()
}

/// Between the last look, which found it empty, and the first `rmdir`.
fn removing(cgroup: &Cgroup, more: &[&str]) -> (Stopped, Victim) {
    let victim = Victim::start(&["pause"], Some(cgroup));
    let args = ["kill", "--json", "--rm", "--cgroup", cgroup.path()];
    let held = Stopped::at("unlinkat", &[&args[..], more].concat());
    assert_eq!(cgroup.procs(), [0; 0]);
    (held, victim)
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_stays_busy_is_not_done_and_the_time_is_obeyed() {
    let cgroup = Cgroup::v2("busy");
    let below = cgroup.sub("below");
    let mounted = Mounted::on(&below);
    let kept = below.file("kept");
    fs::create_dir(&kept).expect("a tmpfs");
    let output = kill(&["--rm", "-t", "300ms", "--cgroup", cgroup.path()]);
    let is_kept = kept.is_dir();
    drop(mounted);
    assert!(is_kept, "what is mounted below is somebody else's");
    assert_eq!(output.code, Some(1), "{output:#?}");
    let verdict = verdict(&output);
    assert_eq!(verdict["outcome"], "not_removed", "{output:#?}");
    assert_eq!(verdict["targets"][0]["outcome"], "already", "{output:#?}");
    assert!(output.stderr.contains("cannot remove"), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn who_joins_before_the_removal_is_spared_and_named() {
    for cgroup in both("joined") {
        let (mut held, _victim) = removing(&cgroup, &["-t", "2"]);
        let late = Victim::start(&["pause"], Some(&cgroup));
        held.resume();
        let output = held.finish();
        assert_eq!(output.code, Some(1), "{output:#?}");
        assert!(is_there(&cgroup) && is_alive(late.pid()));
        let verdict = verdict(&output);
        assert_eq!(verdict["outcome"], "not_removed", "{output:#?}");
        assert_eq!(verdict["targets"][0]["outcome"], "done", "{output:#?}");
        assert_eq!(verdict["survivors"][0]["pid"], late.pid(), "{output:#?}");
        assert!(output.stderr.contains("cannot remove"), "{output:#?}");
        assert!(output.stderr.contains("hint: somebody"), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn without_a_time_the_removal_waits_for_who_has_joined() {
    for cgroup in both("patient") {
        let (mut held, _victim) = removing(&cgroup, &[]);
        let mut late = Victim::start(&["pause"], Some(&cgroup));
        held.resume();
        let said = held.next_stderr_line();
        assert!(said.contains("is busy: trying again"), "{said}");
        assert!(is_alive(late.pid()));
        late.signal(Signal::TERM);
        late.wait();
        assert_done(&held.finish());
        assert!(!is_there(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_made_below_meanwhile_is_removed_too() {
    for cgroup in both("deeper") {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, &[]);
        // The first `rmdir` is that of the one below.
        let _deeper = below.sub("deeper");
        let _beside = cgroup.sub("beside");
        held.resume();
        assert_done(&held.finish());
        assert!(!is_there(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_another_removes_meanwhile_is_removed() {
    for cgroup in both("another") {
        let (mut held, _victim) = removing(&cgroup, &[]);
        fs::remove_dir(cgroup.path()).expect("it is empty");
        held.resume();
        assert_done(&held.finish());
    }
    for cgroup in both("others") {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, &[]);
        for directory in [below.path(), cgroup.path()] {
            fs::remove_dir(directory).expect("it is empty");
        }
        held.resume();
        assert_done(&held.finish());
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_of_the_same_name_made_meanwhile_is_another() {
    for cgroup in both("again") {
        let below = cgroup.sub("below");
        let (mut held, _victim) = removing(&cgroup, &[]);
        for directory in [below.path(), cgroup.path()] {
            fs::remove_dir(directory).expect("it is empty");
        }
        fs::create_dir(cgroup.path()).expect("the name is free");
        held.resume();
        assert_done(&held.finish());
        assert!(is_there(&cgroup), "it removed somebody else's");
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
            assert!(is_there(&cgroup));
        }
    }
}
