//! A running `probe` that ends by itself, such as a wait.

use std::{ops::Deref, process::Command};

use crate::{Output, Running, conditions, lines::Lines, record, requirements};

/// A running `probe`. Dropping it kills the process.
#[derive(Debug)]
pub struct Waiting(Running);

impl Deref for Waiting {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl Waiting {
    /// Starts `probe wait --json -v` with more arguments, and returns when it is armed: from
    /// then on it misses no exit.
    #[must_use]
    pub fn armed(args: &[&str]) -> Self {
        Self::armed_in(&mut conditions::unrestricted(&Self::args(args)))
    }

    /// The arguments of `probe` for [`Waiting::armed_in`].
    #[must_use]
    pub fn args<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["wait", "--json", "-v"], args].concat()
    }

    /// Starts a command that runs `probe` with [`Waiting::args`], and returns when it is armed.
    #[must_use]
    pub fn armed_in(command: &mut Command) -> Self {
        let waiting = Self::start(command);
        waiting.wait_for_stderr("armed:");
        waiting
    }

    /// Starts a command that runs `probe`; does not wait for anything.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self(Running::start(command))
    }

    /// As [`Waiting::armed_in`], with a stdout that has no reader.
    #[must_use]
    pub fn armed_in_without_stdout(command: &mut Command) -> Self {
        let mut waiting = Self::armed_in(command);
        waiting.0.stdout = Lines::of(std::io::empty());
        waiting
    }

    /// Asserts that `probe` has not ended.
    pub fn assert_running(&self) {
        assert!(self.is_running(), "the wait ended too soon");
    }

    /// Returns when the exit record of this process arrives, or panics.
    pub fn wait_for_exit_of(&self, pid: u32) {
        requirements::require_bpf();
        let deadline = crate::Deadline::start();
        loop {
            let line = self.stdout.next(deadline);
            let line = line.unwrap_or_else(|reason| panic!("no exit of {pid}: {reason:?}"));
            let line = serde_json::from_str(&line).expect("a line of JSON");
            if record::is_exit(&line) && record::pid(&line) == pid {
                return;
            }
        }
    }

    /// Collects the output until the process ends, which must happen within the deadline.
    #[must_use]
    pub fn finish(self) -> Output {
        self.0.finish()
    }
}
