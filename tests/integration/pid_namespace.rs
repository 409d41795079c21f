//! `probe` in a pid namespace of its own: records have the numbers of that namespace, and a
//! process of the machine with the same number is not taken for the target.

use std::{fs, process::Command};

use probe_tests::{Deadline, Probe, Victim, Waiting, conditions, record, schema};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Runs a script as the init process of a new pid namespace with its own `/proc`. `$0` is
/// `probe`, and `$1` the pid of a process of the machine, which is free in the namespace.
fn in_namespace(script: &str, stranger: &Victim) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
    ]);
    command
        .arg(script)
        .arg(conditions::unrestricted(&[]).get_program());
    command.arg(stranger.pid().to_string());
    command
}

/// Makes a sleeping process with the number `$1`.
const SLEEPER: &str = "echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid; \
                       sleep 1000 & [ $! = $1 ] || exit 99; ";

/// The pid on the machine of the process that has this pid in another namespace.
fn outer_pid(inner: u32) -> Pid {
    let mut found = None;
    Deadline::start().until("the process of the namespace is there", || {
        let entries = fs::read_dir("/proc").expect("a directory");
        let pids = entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<i32>().ok());
        found = pids
            .filter(|&pid| pid.cast_unsigned() != inner)
            .find(|pid| {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                let numbers = status.lines().find_map(|it| it.strip_prefix("NSpid:"));
                let innermost =
                    numbers.and_then(|it| it.split_whitespace().nth_back(0)?.parse().ok());
                innermost == Some(inner) && status.starts_with("Name:\tsleep\n")
            });
        found.is_some()
    });
    found.and_then(Pid::from_raw).expect("found above")
}

#[test]
#[ignore = "needs root"]
fn a_trace_of_a_pid_follows_the_process_of_its_namespace() {
    let mut stranger = Victim::spawn(&["pause"], None);
    let pid = stranger.pid();
    let script = format!("{SLEEPER} \"$0\" trace --json --pid $1");
    let trace = Probe::trace_in(&mut in_namespace(&script, &stranger));
    let target = outer_pid(pid);
    stranger.kill();
    kill_process(target, Signal::TERM).expect("the process exists");
    // The trace ends with its process.
    let finished = trace.finish_by_itself();
    let [exit] = finished.lines.as_slice() else {
        panic!("not one exit: {:#?}", finished.lines)
    };
    assert_eq!((record::pid(exit), &exit["tid"]), (pid, &exit["pid"]));
    assert_eq!(exit["comm"], "sleep", "{exit}");
    assert_eq!(exit["ppid"], 1, "{exit}");
    assert_eq!(exit["ns"]["pid"], pid, "{exit}");
    // The sender has no number in the namespace.
    assert_eq!(exit["killed_by"]["pid"], Value::Null, "{exit}");
    assert_ne!(exit["killed_by"]["comm"], Value::Null, "{exit}");
}

#[test]
#[ignore = "needs root"]
fn a_status_in_a_pid_namespace_is_that_of_the_process_of_the_namespace() {
    let mut stranger = Victim::spawn(&["exit", "3"], None);
    let pid = stranger.pid();
    let script = format!("{SLEEPER} \"$0\" wait --json -v --status $1; exit $?");
    let wait = Waiting::armed_in(&mut in_namespace(&script, &stranger));
    let target = outer_pid(pid);
    stranger.release();
    stranger.wait();
    wait.assert_running();
    kill_process(target, Signal::TERM).expect("the process exists");
    let output = wait.finish();
    assert_eq!(output.code, Some(128 + 15), "{output:#?}");
    for exit in output.json().iter().filter(|line| record::is_exit(line)) {
        assert_eq!(exit["comm"], "sleep", "{exit}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_without_a_number_in_the_namespace_has_no_pid() {
    let (cgroup, mut victim) = Victim::in_v2("outside");
    let script = format!("\"$0\" trace --json --count 1 --cgroup {}", cgroup.path());
    let trace = Probe::trace_in(&mut in_namespace(&script, &victim));
    victim.kill();
    let finished = trace.finish_by_itself();
    let [exit] = finished.lines.as_slice() else {
        panic!("not one exit: {:#?}", finished.lines)
    };
    schema::validate(exit);
    for field in ["pid", "tid"] {
        assert_eq!(exit[field], Value::Null, "{exit}");
    }
    assert_eq!(exit["ns"]["pid"], victim.pid(), "{exit}");
    assert_eq!(exit["comm"], "victim", "{exit}");
}
