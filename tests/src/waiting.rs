//! A `probe` that runs until it ends by itself, such as a wait.

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

/// A `probe` whose end is waited for.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// Lines of stderr that were read already.
    said: RefCell<Vec<String>>,
}

impl Waiting {
    /// Starts `probe wait --json -v` with these arguments besides, and returns
    /// when it is armed: from then on it misses no exit.
    #[must_use]
    pub fn armed(args: &[&str]) -> Self {
        Self::armed_in(&mut conditions::unrestricted(&Self::args(args)))
    }

    /// What a command that starts one under other conditions must pass on.
    #[must_use]
    pub fn args<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["wait", "--json", "-v"], args].concat()
    }

    /// The same for a command that starts a wait under other conditions.
    #[must_use]
    pub fn armed_in(command: &mut Command) -> Self {
        let waiting = Self::start(command);
        waiting.wait_for_stderr("armed:");
        waiting
    }

    /// Returns when it has said this on stderr, after what was waited for before,
    /// or panics.
    pub fn wait_for_stderr(&self, words: &str) {
        let deadline = Deadline::start();
        let mut said = self.said.borrow_mut();
        loop {
            match self.stderr.next(deadline) {
                Ok(line) => {
                    let is_it = line.contains(words);
                    said.push(line);
                    if is_it {
                        return;
                    }
                }
                Err(why) => panic!("'{words}' was not said ({why:?}): {said:#?}"),
            }
        }
    }

    /// The same without waiting for anything.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = spawn(command);
        Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            said: RefCell::default(),
        }
    }

    /// The same without anybody who reads stdout.
    #[must_use]
    pub fn armed_in_without_stdout(command: &mut Command) -> Self {
        let mut waiting = Self::armed_in(command);
        waiting.stdout = Lines::of(std::io::empty());
        waiting
    }

    /// What it says next on stderr.
    #[must_use]
    pub fn next_stderr_line(&self) -> String {
        let line = self.stderr.next(Deadline::start());
        line.unwrap_or_else(|why| panic!("nothing came on stderr: {why:?}"))
    }

    /// That there is no verdict yet.
    pub fn assert_running(&self) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("not reaped yet");
        assert!(!stat.contains(") Z "), "the wait ended too soon: {stat}");
    }

    /// Returns when it has told of this exit, or panics.
    pub fn wait_for_exit_of(&self, pid: u32) {
        requirements::require_bpf();
        let deadline = Deadline::start();
        loop {
            let line = self.stdout.next(deadline);
            let line = line.unwrap_or_else(|why| panic!("no exit of {pid} is told: {why:?}"));
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

    /// Stops it: what happens before [`Waiting::resume`] it sees all at once.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        Deadline::start().until("the wait is stopped", || {
            let stat = std::fs::read_to_string(&stat);
            stat.expect("not reaped yet").contains(") T ")
        });
    }

    /// The opposite of [`Waiting::stop`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Everything until its end, which must come within the deadline.
    #[must_use]
    pub fn finish(mut self) -> Output {
        let mut output = collect(&mut self.child, &self.stdout, &self.stderr);
        let said = self.said.take();
        let said: String = said.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        output.stderr.insert_str(0, &said);
        output
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
