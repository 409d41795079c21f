//! A running `probe` that ends by itself, such as a wait.

use std::{
    cell::RefCell,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Deadline, Output,
    child::{collect, spawn},
    conditions,
    lines::Lines,
    record, requirements,
};

/// A running `probe`. Dropping it kills the process.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// Lines of stderr that have been read.
    stderr_lines: RefCell<Vec<String>>,
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

    /// Reads stderr up to the next line with these words, or panics.
    pub fn wait_for_stderr(&self, words: &str) {
        let deadline = Deadline::start();
        let mut lines = self.stderr_lines.borrow_mut();
        loop {
            match self.stderr.next(deadline) {
                Ok(line) => {
                    let is_it = line.contains(words);
                    lines.push(line);
                    if is_it {
                        return;
                    }
                }
                Err(reason) => panic!("no '{words}' on stderr ({reason:?}): {lines:#?}"),
            }
        }
    }

    /// Starts a command that runs `probe`; does not wait for anything.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = spawn(command);
        Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            stderr_lines: RefCell::default(),
        }
    }

    /// As [`Waiting::armed_in`], with a stdout that has no reader.
    #[must_use]
    pub fn armed_in_without_stdout(command: &mut Command) -> Self {
        let mut waiting = Self::armed_in(command);
        waiting.stdout = Lines::of(std::io::empty());
        waiting
    }

    /// The next line of stderr.
    #[must_use]
    pub fn next_stderr_line(&self) -> String {
        let line = self.stderr.next(Deadline::start());
        line.unwrap_or_else(|reason| panic!("no line on stderr: {reason:?}"))
    }

    /// Asserts that `probe` has not ended.
    pub fn assert_running(&self) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("not reaped yet");
        assert!(!stat.contains(") Z "), "the wait ended too soon: {stat}");
    }

    /// Returns when the exit record of this process arrives, or panics.
    pub fn wait_for_exit_of(&self, pid: u32) {
        requirements::require_bpf();
        let deadline = Deadline::start();
        loop {
            let line = self.stdout.next(deadline);
            let line = line.unwrap_or_else(|reason| panic!("no exit of {pid}: {reason:?}"));
            let line = serde_json::from_str(&line).expect("a line of JSON");
            if record::is_exit(&line) && record::pid(&line) == pid {
                return;
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("not reaped yet");
    }

    /// Stops the process; it sees events up to [`Waiting::resume`] all at once.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        Deadline::start().until("the wait is stopped", || {
            let stat = std::fs::read_to_string(&stat);
            stat.expect("not reaped yet").contains(") T ")
        });
    }

    /// Continues a stopped process.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Collects the output until the process ends, which must happen within the deadline.
    #[must_use]
    pub fn finish(mut self) -> Output {
        let mut output = collect(&mut self.child, &self.stdout, &self.stderr);
        let lines = self.stderr_lines.take();
        let lines: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        output.stderr.insert_str(0, &lines);
        output
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Both calls fail if the process has been reaped.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
