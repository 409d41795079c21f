//! Cgroups that are frozen: by others, and by us while we kill.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Stopped, Victim, Waiting, conditions, scale};
use rustix::process::Signal;

use super::{assert_done, is_alive, kill, verdict};

/// One of each kind that can be frozen.
fn both() -> [Cgroup; 2] {
    [Cgroup::v2("freezing"), Cgroup::v1("freezer", "freezing")]
}

fn is_thawed(cgroup: &Cgroup) -> bool {
    let state = ["cgroup.freeze", "freezer.state"].map(|it| cgroup.file(it));
    let state = state.iter().find_map(|it| fs::read_to_string(it).ok());
    let state = state.expect("both have a freezer");
    ["0", "THAWED"].contains(&state.trim())
}

/// A kill between freeze and thaw, that has a signal still to send.
fn freezing(cgroup: &Cgroup, signal: &str) -> Stopped {
    let args = ["kill", "-q", "--json", "-s", signal, "--until", "empty"];
    let more = ["--freeze-after", "0", "--cgroup", cgroup.path()];
    let held = Stopped::at("pidfd_send_signal", &[&args[..], &more].concat());
    assert!(!is_thawed(cgroup), "this tests nothing");
    held
}

#[test]
#[ignore = "needs root"]
fn a_frozen_v2_cgroup_is_killed_and_a_frozen_v1_one_is_named() {
    let cgroup = Cgroup::v2("frozen");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    cgroup.write("cgroup.freeze", "1");
    assert_done(&kill(&["--cgroup", cgroup.path()]));
    assert_eq!(victim.wait(), 9);

    let cgroup = Cgroup::v1("freezer", "frozen");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    cgroup.freeze_v1();
    let output = kill(&["-t", "100ms", "--cgroup", cgroup.path()]);
    let state = fs::read_to_string(cgroup.file("freezer.state")).expect("readable");
    cgroup.write("freezer.state", "THAWED");
    assert_eq!(victim.wait(), 9);
    assert_eq!(output.code, Some(3), "{output:#?}");
    assert!(output.stderr.contains("is frozen"), "{output:#?}");
    assert_ne!(state.trim(), "THAWED", "we thawed what others froze");
}

#[test]
#[ignore = "needs root"]
fn who_has_to_be_frozen_to_be_reached_is_thawed_again_and_it_is_said_before() {
    for (cgroup, file, thawed) in [
        (Cgroup::v2("freeze"), "cgroup.freeze", "0"),
        (Cgroup::v1("freezer", "freeze"), "freezer.state", "THAWED"),
    ] {
        let mut victim = Victim::start(&["pause"], Some(&cgroup));
        let froze = ["--freeze-after", "0", "-s", "TERM", "-t", "30"];
        let output = kill(&[&froze[..], &["--cgroup", cgroup.path()]].concat());
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(verdict(&output)["outcome"], "done", "{output:#?}");
        let said = format!("freezing {}, which", cgroup.path());
        assert!(output.stderr.contains(&said), "{output:#?}");
        let state = fs::read_to_string(Path::new(cgroup.path()).join(file));
        assert_eq!(state.expect("still there").trim_end(), thawed);
        victim.wait();
    }
}

/// Says whether it was left frozen, and thaws it as it was said to be done.
fn thaw_as_said(cgroup: &Cgroup, stderr: &str) -> bool {
    if is_thawed(cgroup) {
        return false;
    }
    let expected = format!("probe: freezing {}, which", cgroup.path());
    assert!(stderr.starts_with(&expected), "it was not said: {stderr}");
    let hint = stderr
        .lines()
        .nth(1)
        .and_then(|it| it.strip_prefix("hint: "));
    let (_, thaw) = hint.and_then(|it| it.rsplit_once(": ")).expect("a command");
    let done = Command::new("sh").args(["-c", thaw]).status();
    assert!(done.expect("a shell").success(), "{thaw}");
    assert!(is_thawed(cgroup), "{thaw}");
    true
}

#[test]
#[ignore = "needs root"]
fn sigkill_in_between_leaves_frozen_what_was_said_before_with_the_command_that_thaws_it() {
    for cgroup in both() {
        let victim = Victim::start(&["pause"], Some(&cgroup));
        let held = freezing(&cgroup, "TERM");
        let said = [held.next_stderr_line(), held.next_stderr_line()].join("\n");
        held.signal(Signal::KILL);
        let output = held.killed();
        assert_eq!(output.signal, Some(9), "{output:#?}");
        assert!(is_alive(victim.pid()));
        assert!(thaw_as_said(&cgroup, &said), "this tests nothing");
    }
}

#[test]
#[ignore = "needs root"]
fn sigkill_at_whatever_system_call_leaves_nothing_frozen_that_was_not_said() {
    for cgroup in both() {
        let _victim = Victim::start(&["pause"], Some(&cgroup));
        let args = ["kill", "-q", "-s", "WINCH", "--freeze-after", "0"];
        let args = [&args[..], &["--cgroup", cgroup.path()]].concat();
        let mut left_frozen = 0;
        for number in (1..).step_by(scale::stride()) {
            match Stopped::at_stop(number, &args) {
                Ok(held) => {
                    held.signal(Signal::KILL);
                    let output = held.killed();
                    assert_eq!(output.signal, Some(9), "{output:#?}");
                    left_frozen += u32::from(thaw_as_said(&cgroup, &output.stderr));
                }
                Err(output) => {
                    assert_eq!(output.code, Some(0), "{output:#?}");
                    break;
                }
            }
        }
        assert!(left_frozen > 0, "this tests nothing");
        assert!(is_thawed(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn every_signal_that_can_be_caught_thaws_first() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        for cgroup in both() {
            let victim = Victim::start(&["pause"], Some(&cgroup));
            let mut held = freezing(&cgroup, "WINCH");
            held.signal(signal);
            held.resume();
            let output = held.finish();
            assert!(is_thawed(&cgroup), "{output:#?}");
            assert_eq!(output.signal, Some(signal.as_raw()), "{output:#?}");
            assert_eq!(verdict(&output)["outcome"], "interrupted", "{output:#?}");
            assert!(is_alive(victim.pid()));
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_hangup_that_is_ignored_stays_so() {
    let cgroup = Cgroup::v2("nohup");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    let kill = conditions::unrestricted(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(kill.get_program())
        .args(["kill", "--json", "-v", "-s", "WINCH", "--until", "empty"])
        .args(["--cgroup", cgroup.path()]);
    let waiting = Waiting::armed_in(&mut command);
    waiting.signal(Signal::HUP);
    victim.signal(Signal::KILL);
    victim.wait();
    assert_done(&waiting.finish());
}
