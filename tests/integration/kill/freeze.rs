//! Cgroups that are frozen by another process, or by `probe kill` itself.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Stopped, Victim, Waiting, conditions, scale};
use rustix::process::Signal;

use super::{assert_done, is_alive, kill, verdict};

/// One cgroup of each hierarchy with a freezer.
fn both() -> [Cgroup; 2] {
    [Cgroup::v2("freezing"), Cgroup::v1("freezer", "freezing")]
}

fn is_thawed(cgroup: &Cgroup) -> bool {
    let state = ["cgroup.freeze", "freezer.state"].map(|it| cgroup.file(it));
    let state = state.iter().find_map(|it| fs::read_to_string(it).ok());
    let state = state.expect("both have a freezer");
    ["0", "THAWED"].contains(&state.trim())
}

/// A kill that has frozen the cgroup, held before it sends its signal.
fn freezing(cgroup: &Cgroup, signal: &str) -> Stopped {
    let args = ["kill", "-q", "--json", "-s", signal, "--until", "empty"];
    let more = ["--freeze-after", "0", "--cgroup", cgroup.path()];
    let held = Stopped::at("pidfd_send_signal", &[&args[..], &more].concat());
    assert!(!is_thawed(cgroup), "the cgroup was not frozen");
    held
}

#[test]
#[ignore = "needs root"]
fn a_frozen_v2_cgroup_is_killed_and_a_frozen_v1_cgroup_is_named() {
    let cgroup = Cgroup::v2("frozen");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    cgroup.write("cgroup.freeze", "1");
    assert_done(&kill(&["--cgroup", cgroup.path()]));
    assert_eq!(victim.wait(), 9);

    let cgroup = Cgroup::v1("freezer", "frozen");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    cgroup.freeze_v1();
    let output = kill(&["-t", "100ms", "--cgroup", cgroup.path()]);
    let state = fs::read_to_string(cgroup.file("freezer.state")).expect("the state is readable");
    cgroup.write("freezer.state", "THAWED");
    assert_eq!(victim.wait(), 9);
    assert_eq!(output.code, Some(3), "{output:#?}");
    assert!(output.stderr.contains("is frozen"), "{output:#?}");
    assert_ne!(
        state.trim(),
        "THAWED",
        "probe thawed a cgroup that another process froze"
    );
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_frozen_by_the_kill_is_announced_and_thawed_again() {
    for (cgroup, file, thawed) in [
        (Cgroup::v2("freeze"), "cgroup.freeze", "0"),
        (Cgroup::v1("freezer", "freeze"), "freezer.state", "THAWED"),
    ] {
        let mut victim = Victim::start(&["pause"], Some(&cgroup));
        let froze = ["--freeze-after", "0", "-s", "TERM", "-t", "30"];
        let output = kill(&[&froze[..], &["--cgroup", cgroup.path()]].concat());
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(verdict(&output)["outcome"], "done", "{output:#?}");
        let announcement = format!("freezing {}: it forks faster", cgroup.path());
        assert!(output.stderr.contains(&announcement), "{output:#?}");
        let state = fs::read_to_string(Path::new(cgroup.path()).join(file));
        assert_eq!(state.expect("the file still exists").trim_end(), thawed);
        victim.wait();
    }
}

/// Whether the cgroup was left frozen. If so, runs the command of the hint, which must thaw
/// it.
fn thaw_with_hint(cgroup: &Cgroup, stderr: &str) -> bool {
    if is_thawed(cgroup) {
        return false;
    }
    let expected = format!("probe: freezing {}: it forks faster", cgroup.path());
    assert!(
        stderr.starts_with(&expected),
        "the freeze was not announced: {stderr}"
    );
    let hint = stderr
        .lines()
        .nth(1)
        .and_then(|it| it.strip_prefix("hint: "));
    let (_, thaw) = hint.and_then(|it| it.rsplit_once(": ")).expect("a command");
    let done = Command::new("sh").args(["-c", thaw]).status();
    assert!(done.expect("sh is installed").success(), "{thaw}");
    assert!(is_thawed(cgroup), "{thaw}");
    true
}

#[test]
#[ignore = "needs root"]
fn killing_probe_leaves_a_frozen_cgroup_and_a_thaw_hint() {
    for cgroup in both() {
        let victim = Victim::start(&["pause"], Some(&cgroup));
        let held = freezing(&cgroup, "TERM");
        let announced = [held.next_stderr_line(), held.next_stderr_line()].join("\n");
        held.signal(Signal::KILL);
        let output = held.killed();
        assert_eq!(output.signal, Some(9), "{output:#?}");
        assert!(is_alive(victim.pid()));
        assert!(
            thaw_with_hint(&cgroup, &announced),
            "the cgroup was not frozen"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn killing_probe_at_any_system_call_leaves_no_unannounced_freeze() {
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
                    left_frozen += u32::from(thaw_with_hint(&cgroup, &output.stderr));
                }
                Err(output) => {
                    assert_eq!(output.code, Some(0), "{output:#?}");
                    break;
                }
            }
        }
        assert!(left_frozen > 0, "the cgroup was not frozen");
        assert!(is_thawed(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn every_catchable_signal_thaws_the_cgroup_before_probe_exits() {
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
fn an_ignored_hangup_stays_ignored() {
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
