//! `probe kill`: it signals every process of its targets, and no other process.

mod freeze;
mod grace;
mod members;
mod privilege;
mod processes;
mod refused;
mod removal;
mod until;

use std::process::{Command, Stdio};

use probe_tests::{Cgroup, Output, Victim, probe, requirements, state};
use serde_json::Value;

/// Every backend that works on this machine.
fn backends() -> &'static [&'static str] {
    if requirements::has_bpf() {
        &["auto", "bpf", "pidfd", "poll"]
    } else {
        &["auto", "pidfd", "poll"]
    }
}

/// `probe kill --json`.
fn kill(args: &[&str]) -> Output {
    probe(&[&["kill", "--json"], args].concat())
}

fn verdict(output: &Output) -> Value {
    let verdict = output.json().pop();
    let verdict = verdict.unwrap_or_else(|| panic!("no verdict in {output:#?}"));
    assert_eq!(verdict["type"], "kill", "{output:#?}");
    verdict
}

fn assert_done(output: &Output) {
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(verdict(output)["outcome"], "done", "{output:#?}");
}

/// Neither gone nor a zombie.
fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|it| it != 'Z')
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
