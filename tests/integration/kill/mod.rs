//! `probe kill`: it signals every process of its targets, and no other process.

mod freeze;
mod grace;
mod members;
mod privilege;
mod processes;
mod refused;
mod removal;
mod restart;
mod until;

use std::{
    fs,
    process::{Command, Stdio},
};

use probe_tests::{Cgroup, Output, Stopped, Victim, requirements, run, words};
use serde_json::Value;

/// Every backend that works on this machine.
fn backends() -> &'static [&'static str] {
    if requirements::has_bpf() {
        &["auto", "bpf", "pidfd", "poll"]
    } else {
        &["auto", "pidfd", "poll"]
    }
}

/// Runs `probe kill --json` with the words of this line.
fn kill(line: &str) -> Output {
    run(&format!("kill --json {line}"))
}

/// Runs `probe kill --json` for this cgroup with these options.
fn kill_cgroup(cgroup: &Cgroup, options: &str) -> Output {
    run(&line(cgroup, options))
}

/// `probe kill --json` for this cgroup with these options, stopped before its first call of this
/// name.
fn stopped_kill(call: &str, cgroup: &Cgroup, options: &str) -> Stopped {
    Stopped::at(call, &words(&line(cgroup, options)))
}

/// The command line of a kill of this cgroup.
fn line(cgroup: &Cgroup, options: &str) -> String {
    format!("kill --json {options} --cgroup {}", cgroup.path())
}

fn verdict(output: &Output) -> Value {
    let verdict = output.last_line();
    assert_eq!(verdict["type"], "kill", "{output:#?}");
    verdict
}

fn assert_done(output: &Output) {
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(verdict(output)["outcome"], "done", "{output:#?}");
}

/// The state in the freezer of a cgroup, which is `0` or `THAWED` if it is not frozen.
fn freezer_state(cgroup: &Cgroup) -> String {
    let state = ["cgroup.freeze", "freezer.state"].map(|it| cgroup.file(it));
    let state = state.iter().find_map(|it| fs::read_to_string(it).ok());
    state.expect("both have a freezer").trim().to_owned()
}

fn is_thawed(cgroup: &Cgroup) -> bool {
    ["0", "THAWED"].contains(&freezer_state(cgroup).as_str())
}

/// A shell in the cgroup that runs this script and has reported that it is ready.
fn shell(script: &str, cgroup: &Cgroup) -> Victim {
    let script = format!("read _; {script}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stderr(Stdio::null());
    let mut shell = Victim::spawn_command(&mut command, Some(cgroup));
    shell.release();
    let _ready = shell.report();
    shell
}
