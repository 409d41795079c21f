//! Commands of `probe`, written as one line.

use std::process::Command;

use crate::{Cgroup, Output, Waiting, probe, probe_in};

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
