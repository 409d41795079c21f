//! Signals that no process sent. The task that ran at the time is not the sender.

use probe_tests::{TracedCgroup, kernel, record, words};
use serde_json::{Value, json};

use super::{by, by_no_process, send};

#[test]
#[ignore = "needs root"]
fn signals_of_timers_and_of_the_kernel_have_no_sender() {
    let mut traced = TracedCgroup::new("kernel");
    let directory = tempfile::tempdir().expect("a place for a file");
    let file = directory.path().join("file");
    let file = file.to_str().expect("UTF-8");
    let fill = format!("limit fsize 4096 4096 fill {file}");
    let cases = [
        ("readable", "SIGIO", "kernel", None),
        ("posix-timer 10", "SIGUSR1", "timer", None),
        ("posix-timer 9", "SIGKILL", "timer", None),
        ("alarm", "SIGALRM", "timer", None),
        ("cpu-timer virtual", "SIGVTALRM", "timer", None),
        ("cpu-timer profiling", "SIGPROF", "timer", None),
        ("pipe", "SIGPIPE", "kernel", Some("broken_pipe")),
        ("limit cpu 1 4 spin", "SIGXCPU", "kernel", Some("cpu_limit")),
        ("limit cpu 1 1 spin", "SIGKILL", "kernel", None),
        (&fill, "SIGXFSZ", "kernel", Some("file_size_limit")),
    ];
    for (line, signal, via, cause) in cases {
        let death = traced.run_parent(&words(&format!("parent {line}")));
        let expected = by_no_process(signal, via, cause);
        assert_eq!(death.exit["killed_by"], expected, "{line}");
    }
}

#[test]
#[ignore = "needs root"]
fn signals_of_a_terminal_come_from_the_kernel() {
    let mut traced = TracedCgroup::new("terminal");
    for (end, signal, cause) in [
        ("interrupt", "SIGINT", "terminal"),
        ("hang-up", "SIGHUP", "hang_up"),
        ("give-up", "SIGHUP", "hang_up"),
    ] {
        let death = traced.run_parent(&["terminal", end, "pause"]);
        let expected = by_no_process(signal, "kernel", Some(cause));
        assert_eq!(death.exit["killed_by"], expected, "{end}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_signal_at_the_exit_of_a_child_comes_from_the_kernel() {
    let mut traced = TracedCgroup::new("exit-signal");
    // The code that says how the child ended is also that of a fault.
    for (number, name) in [("15", "SIGTERM"), ("11", "SIGSEGV"), ("2", "SIGINT")] {
        let death = traced.run_parent(&["parent", "exit-signal", number]);
        let expected = by_no_process(name, "kernel", None);
        assert_eq!(death.exit["killed_by"], expected);
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_is_killed_at_its_birth_has_no_sender() {
    let mut traced = TracedCgroup::new("birth");
    if !traced.cgroup.has_kill() {
        kernel::inapplicable("there is no cgroup.kill");
    }
    let inner = traced.cgroup.sub("inner");
    inner.kill();
    // Linux 6.18 compares the kills of this cgroup with those of the cgroup of the parent.
    let death = traced.run_parent(&["born-into", inner.path()]);
    if record::wait_status(&death.exit) == 0 {
        kernel::inapplicable("this kernel does not kill the child");
    }
    let expected = by_no_process("SIGKILL", "kernel", Some("cgroup_kill"));
    assert_eq!(death.exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_parent_death_signal_has_its_cause() {
    let mut traced = TracedCgroup::new("orphan");
    for (number, name) in [("9", "SIGKILL"), ("15", "SIGTERM")] {
        let death = traced.run_parent(&["parent-dies", number, "pause"]);
        let expected = by_no_process(name, "kernel", Some("parent_death"));
        assert_eq!(death.exit["killed_by"], expected);
    }
}

#[test]
#[ignore = "needs root"]
fn the_teardown_of_a_pid_namespace_has_its_cause() {
    let mut traced = TracedCgroup::new("teardown");
    let death = traced.run_parent(&["pid-namespace", "siblings", "3", "exit", "4"]);
    let namespace = &death.exit["ns"]["pid_ns"];
    assert_eq!(death.exit["killed_by"], Value::Null);
    for inner in 2..=4 {
        let exit = traced
            .probe
            .wait_for(|line| line["ns"] == json!({"pid": inner, "pid_ns": namespace}));
        assert_eq!(record::wait_status(&exit), 9);
        let expected = by_no_process("SIGKILL", "kernel", Some("pid_namespace_teardown"));
        assert_eq!(exit["killed_by"], expected);
    }
    // Four processes in the namespace, and the parent outside.
    assert_eq!(traced.finish().exits().count(), 5);
}

#[test]
#[ignore = "needs root"]
fn only_the_init_of_a_killed_pid_namespace_has_a_killer() {
    let mut traced = TracedCgroup::new("init");
    let words = ["pid-namespace", "siblings", "2", "ready", "pause"];
    let mut parent = traced.start(&words);
    assert_eq!(record::pid(&parent.report()), 1);
    let init = traced
        .cgroup
        .procs()
        .into_iter()
        .find(|&pid| ns_pid(pid) == 1);
    let init = init.expect("init is in the cgroup");
    let sender = send(&["send", "kill", &init.to_string(), "9"]);
    let exit = traced.probe.exit_of(init);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGKILL", "kill"));
    assert_eq!(parent.wait(), 0);
    let reported = traced.finish();
    let torn = reported
        .exits()
        .filter(|line| line["killed_by"]["cause"] == "pid_namespace_teardown");
    assert_eq!(torn.count(), 2);
}

/// The pid of a process in its innermost namespace.
fn ns_pid(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("NSpid:"));
    let last = line.and_then(|line| line.split_whitespace().last());
    last.and_then(|pid| pid.parse().ok()).expect("Linux 4.1")
}

#[test]
#[ignore = "needs root"]
fn an_exit_without_a_signal_has_no_killer() {
    let mut traced = TracedCgroup::new("strict");
    // Strict seccomp ends the process with the status of SIGKILL, but sends no signal.
    let death = traced.run_parent(&["parent", "fault", "strict"]);
    assert_eq!(death.report["status"], 9);
    assert_eq!(death.exit["killed_by"], Value::Null);
}
