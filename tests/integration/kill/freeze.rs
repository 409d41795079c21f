//! Cgroups that are frozen by another process, or by `probe kill` itself.

use std::process::Command;

use probe_tests::{Cgroup, FrozenV1, Stopped, Victim, Waiting, is_alive, scale, started_by, words};
use rustix::process::Signal;

use super::{assert_done, freezer_state, is_thawed, kill_cgroup, line, stopped_kill, verdict};

/// One cgroup of each hierarchy with a freezer.
fn both() -> [Cgroup; 2] {
    [Cgroup::v2("freezing"), Cgroup::v1("freezer", "freezing")]
}

/// A kill that has frozen the cgroup, held before it sends its signal.
fn freezing(cgroup: &Cgroup, signal: &str) -> Stopped {
    let options = format!("-q -s {signal} --until empty --freeze-after 0");
    let held = stopped_kill("pidfd_send_signal", cgroup, &options);
    assert!(!is_thawed(cgroup), "the cgroup was not frozen");
    held
}

#[test]
#[ignore = "needs root"]
fn a_frozen_v2_cgroup_is_killed_and_a_frozen_v1_cgroup_is_named() {
    let (cgroup, mut victim) = Victim::in_v2("frozen");
    cgroup.write("cgroup.freeze", "1");
    assert_done(&kill_cgroup(&cgroup, ""));
    assert_eq!(victim.wait(), 9);

    let (cgroup, mut victim) = Victim::inside(Cgroup::v1("freezer", "frozen"));
    let frozen = FrozenV1::new(&cgroup);
    let output = kill_cgroup(&cgroup, "-t 100ms");
    assert!(
        !is_thawed(&cgroup),
        "probe thawed a cgroup of another process"
    );
    drop(frozen);
    assert_eq!(victim.wait(), 9);
    output.assert_ended(3, &["is frozen"]);
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_frozen_by_the_kill_is_announced_and_thawed_again() {
    for (cgroup, mut victim) in both().map(Victim::inside) {
        let output = kill_cgroup(&cgroup, "--freeze-after 0 -s TERM -t 30");
        assert_done(&output);
        let announcement = format!("freezing {}: it forks faster", cgroup.path());
        output.assert_ended(0, &[&announcement]);
        assert!(is_thawed(&cgroup), "{}", freezer_state(&cgroup));
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
    assert!(stderr.starts_with(&expected), "not announced: {stderr}");
    let hint = stderr.lines().nth(1).expect("a second line");
    assert!(hint.starts_with("hint: "), "{stderr}");
    let (_, thaw) = hint.rsplit_once(": ").expect("a command");
    let done = Command::new("sh").args(["-c", thaw]).status();
    assert!(done.expect("sh is installed").success(), "{thaw}");
    assert!(is_thawed(cgroup), "{thaw}");
    true
}

#[test]
#[ignore = "needs root"]
fn killing_probe_leaves_a_frozen_cgroup_and_a_thaw_hint() {
    for (cgroup, victim) in both().map(Victim::inside) {
        let held = freezing(&cgroup, "TERM");
        let announced = [held.next_stderr_line(), held.next_stderr_line()].join("\n");
        held.signal(Signal::KILL);
        let output = held.killed();
        assert_eq!(output.signal, Some(9), "{output:#?}");
        assert!(is_alive(victim.pid()));
        assert!(thaw_with_hint(&cgroup, &announced), "it was not frozen");
    }
}

#[test]
#[ignore = "needs root"]
fn killing_probe_at_any_system_call_leaves_no_unannounced_freeze() {
    for cgroup in both() {
        let _victim = Victim::paused(&cgroup);
        let line = line(&cgroup, "-q -s WINCH --freeze-after 0");
        let mut left_frozen = 0;
        for number in (1..).step_by(scale::stride()) {
            let held = match Stopped::at_stop(number, &words(&line)) {
                Ok(held) => held,
                Err(output) => {
                    assert_eq!(output.code, Some(0), "{output:#?}");
                    break;
                }
            };
            held.signal(Signal::KILL);
            let output = held.killed();
            assert_eq!(output.signal, Some(9), "{output:#?}");
            left_frozen += u32::from(thaw_with_hint(&cgroup, &output.stderr));
        }
        assert!(left_frozen > 0, "the cgroup was not frozen");
        assert!(is_thawed(&cgroup));
    }
}

#[test]
#[ignore = "needs root"]
fn every_catchable_signal_thaws_the_cgroup_before_probe_exits() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        for (cgroup, victim) in both().map(Victim::inside) {
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
    let (cgroup, mut victim) = Victim::in_v2("nohup");
    let shell = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let line = line(&cgroup, "-v -s WINCH --until empty");
    let waiting = Waiting::armed_in(&mut started_by(&shell, &words(&line)));
    waiting.signal(Signal::HUP);
    victim.kill();
    assert_done(&waiting.finish());
}
