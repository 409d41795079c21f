//! Signals that `probe run` hands on.

use probe_tests::{Deadline, Running, conditions, state};
use rustix::process::Signal;

use super::{assert_no_trace_of, cgroup_of, descendants_of};

fn start(options: &[&str], script: &str) -> Running {
    let args = [&["run"], options, &["--", "sh", "-c", script]].concat();
    let probe = Running::start(&mut conditions::unrestricted(&args));
    assert_eq!(probe.next_line().as_deref(), Some("ready"));
    probe
}

#[test]
#[ignore = "needs root"]
fn signals_are_handed_on_to_the_command() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
    ] {
        let script = format!(
            "trap 'echo {name}; exit 9' {name}; echo ready; \
                              while :; do sleep 0.01; done"
        );
        let probe = start(&[], &script);
        probe.signal(signal);
        let output = probe.finish();
        assert_eq!((output.code, output.stdout), (Some(9), format!("{name}\n")));
    }
    assert_no_trace_of("signals");
}

#[test]
#[ignore = "needs root"]
fn probe_ends_by_the_signal_that_ended_the_command() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let probe = start(&[], "echo ready; exec sleep 98763.1");
        probe.signal(signal);
        let output = probe.finish();
        assert_eq!(output.signal, Some(signal.as_raw()), "{output:#?}");
        assert_eq!(output.stderr, "", "the user knows the reason");
    }
    assert_eq!(descendants_of("98763.1"), [0; 0]);
    assert_no_trace_of("fatal signals");
}

#[test]
#[ignore = "needs root"]
fn a_command_that_ignores_sigterm_is_killed_after_the_grace() {
    let script = "trap '' TERM; echo ready; sleep 98763.2; sleep 98763.2";
    let probe = start(&["--grace", "0.2"], script);
    probe.signal(Signal::TERM);
    let output = probe.finish();
    assert_eq!(output.code, Some(137), "{output:#?}");
    assert_eq!(descendants_of("98763.2"), [0; 0]);
}

#[test]
#[ignore = "needs root"]
fn the_command_inherits_the_ignored_signals_and_an_empty_mask() {
    let words = ["grep", "Sig[BI]", "/proc/self/status"];
    let script = "trap '' HUP USR1; exec \"$@\"";
    let with_probe = conditions::unrestricted(&[&["run", "--"], &words[..]].concat());
    let shells = [
        &[][..],
        &[
            with_probe.get_program().to_str().expect("UTF-8"),
            "run",
            "--",
        ],
    ]
    .map(|before| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script, "sh"]).args(before).args(words);
        probe_tests::probe_in(&mut shell).stdout
    });
    assert_ne!(shells[0], "");
    assert_eq!(shells[0], shells[1]);
}

#[test]
#[ignore = "needs root"]
fn a_command_that_is_stopped_by_sigstop_does_not_stop_probe() {
    let probe = start(&["-t", "0.5"], "echo ready; kill -STOP $$; echo never");
    let output = probe.finish();
    assert_eq!(output.code, Some(124), "{output:#?}");
    assert_eq!(output.stdout, "");
}

#[test]
#[ignore = "needs root"]
fn sigkill_of_probe_kills_the_command() {
    let mut probe = start(&[], "echo ready; exec sleep 98763.3");
    let cgroup = cgroup_of(probe.pid());
    probe.signal(Signal::KILL);
    let _killed = probe.wait();
    Deadline::start().until("the command is dead", || {
        descendants_of("98763.3").is_empty()
    });
    Deadline::start().until("the cgroup can be removed", || {
        std::fs::remove_dir(&cgroup).is_ok()
    });
}

#[test]
#[ignore = "needs root"]
fn a_sigchld_that_the_parent_ignored_does_not_matter() {
    let probe = conditions::unrestricted(&["run", "--", "sh", "-c", "true & wait; exit 6"]);
    let script = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); \
                  os.execv(sys.argv[1], sys.argv[1:])";
    let mut python = probe_tests::requirements::tool("python3");
    python.args(["-c", script]);
    python.arg(probe.get_program()).args(probe.get_args());
    let output = probe_tests::probe_in(&mut python);
    assert_eq!(output.code, Some(6), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn probe_stops_with_the_command_and_continues_it() {
    // Without a terminal a process group is stopped by SIGTSTP too, unless it is orphaned.
    let probe = start(&[], "echo ready; kill -TSTP $$; echo again");
    Deadline::start().until("probe is stopped", || state(probe.pid()) == Some('T'));
    probe.signal(Signal::CONT);
    let output = probe.finish();
    assert_eq!(
        (output.code, &*output.stdout),
        (Some(0), "again\n"),
        "{output:#?}"
    );
}
