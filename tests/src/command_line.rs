//! Commands of `probe`, written as one line.

use std::process::Command;

use crate::{Cgroup, Output, Waiting, binaries, probe, probe_in};

/// The words of a command line.
#[must_use]
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Runs `probe` with the words of this line to its end, within the deadline.
#[must_use]
pub fn run(line: &str) -> Output {
    probe(&words(line))
}

/// Runs `probe` like [`run`], under a condition.
#[must_use]
pub fn run_in(condition: impl Fn(&[&str]) -> Command, line: &str) -> Output {
    probe_in(&mut condition(&words(line)))
}

/// `probe` with these arguments, started by another program that gets these words before.
#[must_use]
pub fn started_by(before: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(before[0]);
    command.args(&before[1..]);
    and_probe(command, args)
}

/// A command that starts `probe` with these arguments after its own.
#[must_use]
pub fn and_probe(mut command: Command, args: &[&str]) -> Command {
    command.arg(binaries::probe()).args(args);
    command
}

impl Waiting {
    /// Starts `probe wait --json -v` with the words of this line under a condition, and returns
    /// when it is armed.
    #[must_use]
    pub fn armed_under(condition: impl Fn(&[&str]) -> Command, line: &str) -> Self {
        Self::armed_in(&mut condition(&Self::args(&words(line))))
    }

    /// Starts a wait for this cgroup under a condition, and returns when it is armed.
    #[must_use]
    pub fn for_cgroup(condition: impl Fn(&[&str]) -> Command, cgroup: &Cgroup) -> Self {
        Self::armed_under(condition, &format!("--cgroup {}", cgroup.path()))
    }
}
