//! A running `probe trace`, and its records when it has ended.

use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Deadline, Output, Waiting, binaries, child::spawn, lines::Lines, record, requirements,
    schema::parse_line, victim::ended,
};

/// A running `probe trace --json`. Lines are validated against their schema and kept.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    lines: Vec<Value>,
    stderr_lines: Vec<String>,
}

/// The output of a trace that has ended.
#[derive(Debug)]
pub struct Finished {
    /// All lines of stdout, in order.
    pub lines: Vec<Value>,
    /// All lines of stderr.
    pub stderr: Vec<String>,
    /// From the summary: records that the BPF programs sent.
    pub seen: u64,
    /// From the summary: records printed.
    pub shown: u64,
    /// From the summary: records that are missing.
    pub lost: u64,
}

/// Runs `probe` until it ends, which must happen within the deadline.
#[must_use]
pub fn probe(args: &[&str]) -> Output {
    probe_in(Command::new(binaries::probe()).args(args))
}

/// Runs a command that runs `probe`, as [`probe`] does. Its stdin is empty.
#[must_use]
pub fn probe_in(command: &mut Command) -> Output {
    Waiting::start(command).finish()
}

impl Probe {
    /// Starts `probe trace --json` with more arguments, and returns when it is attached.
    #[must_use]
    pub fn trace(args: &[&str]) -> Self {
        let mut command = Command::new(binaries::probe());
        command.args(["trace", "--json"]).args(args);
        Self::trace_in(&mut command)
    }

    /// Starts a command that runs `probe trace --json`, and returns when it is attached.
    #[must_use]
    pub fn trace_in(command: &mut Command) -> Self {
        requirements::require_bpf();
        let mut child = spawn(command);
        let mut probe = Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            lines: Vec::new(),
            stderr_lines: Vec::new(),
        };
        probe.attached();
        probe
    }

    /// Returns when `probe` prints (again) that it is attached.
    pub fn attached(&mut self) {
        let deadline = Deadline::start();
        loop {
            match self.stderr.next(deadline) {
                Ok(line) => {
                    let is_it = line.starts_with("tracing:");
                    self.stderr_lines.push(line);
                    if is_it {
                        return;
                    }
                }
                Err(reason) => panic!("no trace ({reason:?}): {:#?}", self.stderr_lines),
            }
        }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next unread line.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would not panic at the deadline"
    )]
    pub fn next(&mut self) -> Value {
        self.read(Deadline::start(), "any line")
    }

    /// The first line for which `is_it` is true, among the read lines too.
    pub fn wait_for(&mut self, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        if let Some(line) = self.lines.iter().find(|line| is_it(line)) {
            return line.clone();
        }
        let deadline = Deadline::start();
        loop {
            let line = self.read(deadline, "the expected line");
            if is_it(&line) {
                return line;
            }
        }
    }

    /// The exit record of this process.
    pub fn exit_of(&mut self, pid: u32) -> Value {
        self.wait_for(|line| record::is_exit(line) && line["pid"] == pid)
    }

    /// The number of exit records of this process among the read lines.
    #[must_use]
    pub fn exits_so_far(&self, pid: u32) -> usize {
        let is_it = |line: &&Value| record::is_exit(line) && line["pid"] == pid;
        self.lines.iter().filter(is_it).count()
    }

    fn read(&mut self, deadline: Deadline, what: &str) -> Value {
        match self.stdout.next(deadline) {
            Ok(line) => {
                let line = parse_line(&line);
                self.lines.push(line.clone());
                line
            }
            Err(reason) => {
                self.stderr_lines.extend(self.stderr.so_far());
                panic!(
                    "{what} is missing ({reason:?}) after {:#?}\nstderr: {:#?}",
                    self.lines, self.stderr_lines
                )
            }
        }
    }

    /// Ends the trace as Ctrl-C does.
    #[must_use]
    pub fn finish(self) -> Finished {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).expect("not reaped yet");
        self.finish_by_itself()
    }

    /// Collects the output of a trace that ends by itself.
    #[must_use]
    pub fn finish_by_itself(mut self) -> Finished {
        let lines = self.stdout.rest();
        self.lines.extend(lines.iter().map(|line| parse_line(line)));
        self.stderr_lines.extend(self.stderr.rest());
        let status = ended(&mut self.child, Deadline::start());
        assert_eq!(status.code(), Some(0), "{status}: {:#?}", self.stderr_lines);
        let [seen, shown, lost] = summary(&self.stderr_lines);
        Finished {
            lines: std::mem::take(&mut self.lines),
            stderr: std::mem::take(&mut self.stderr_lines),
            seen,
            shown,
            lost,
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Both calls fail if the process has been reaped.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Finished {
    /// The exit records of this process.
    #[must_use]
    pub fn exits_of(&self, pid: u32) -> Vec<&Value> {
        self.exits().filter(|line| line["pid"] == pid).collect()
    }

    /// The only exit record of this process.
    #[must_use]
    pub fn only_exit_of(&self, pid: u32) -> &Value {
        match self.exits_of(pid).as_slice() {
            [exit] => exit,
            others => panic!("not one record of {pid}: {others:#?}\nin {:#?}", self.lines),
        }
    }

    /// All exit records.
    pub fn exits(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| record::is_exit(line))
    }
}

/// The numbers of `seen N, shown N, lost N in S s`.
fn summary(stderr: &[String]) -> [u64; 3] {
    let line = stderr.iter().find(|line| line.starts_with("seen "));
    let line = line.unwrap_or_else(|| panic!("no summary in {stderr:#?}"));
    let mut numbers = line.split([' ', ',']).filter_map(|word| word.parse().ok());
    [(); 3].map(|()| {
        numbers
            .next()
            .unwrap_or_else(|| panic!("fewer than three numbers: {line}"))
    })
}
