//! A running `probe trace`, and its records when it has ended.

use std::{fs, ops::Deref, process::Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Deadline, Output, Running, Waiting, binaries, record, requirements, schema::parse_line,
};

/// A running `probe trace --json`. Lines are validated against their schema and kept.
#[derive(Debug)]
pub struct Probe {
    process: Running,
    lines: Vec<Value>,
}

impl Deref for Probe {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.process
    }
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
    probe_in(Command::new(binaries::probe_for(args)).args(args))
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
        let probe = Self {
            process: Running::start(command),
            lines: Vec::new(),
        };
        probe.attached();
        probe
    }

    /// Returns when `probe` prints (again) that it is attached.
    pub fn attached(&self) {
        self.wait_for_stderr("tracing:");
    }

    /// The next unread line.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would not panic at the deadline"
    )]
    pub fn next(&mut self) -> Value {
        self.read(Deadline::start(), "any line")
    }

    /// The first line for which `is_it` is true. Lines that were read before are searched too.
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
            Err(reason) => panic!(
                "{what} is missing ({reason:?}) after {:#?}\nstderr: {:#?}",
                self.lines,
                self.stderr_so_far()
            ),
        }
    }

    /// Ends the trace as Ctrl-C does.
    #[must_use]
    pub fn finish(self) -> Finished {
        self.signal(Signal::INT);
        self.finish_by_itself()
    }

    /// Ends the trace as Ctrl-C does; the trace must fail because the number of missing records
    /// is unknown. Returns all lines of stdout.
    #[must_use]
    pub fn finish_incomplete(self) -> Vec<Value> {
        self.signal(Signal::INT);
        let Self { process, mut lines } = self;
        let output = process.finish();
        lines.extend(output.json());
        assert_eq!(output.code, Some(1), "{output:#?}");
        for words in ["lost unknown", "unknown number of records"] {
            assert!(output.stderr.contains(words), "{output:#?}");
        }
        lines
    }

    /// As [`Probe::finish`], for a trace that is the only child of the started command.
    #[must_use]
    pub fn finish_child(self) -> Finished {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let child = children.expect("not reaped yet").trim().parse();
        let child = Pid::from_raw(child.expect("one pid")).expect("not 0");
        kill_process(child, Signal::INT).expect("the trace runs");
        self.finish_by_itself()
    }

    /// Collects the output of a trace that ends by itself.
    #[must_use]
    pub fn finish_by_itself(self) -> Finished {
        let Self { process, mut lines } = self;
        let output = process.finish();
        lines.extend(output.json());
        assert_eq!(output.code, Some(0), "{output:#?}");
        let stderr: Vec<_> = output.stderr.lines().map(str::to_owned).collect();
        let [seen, shown, lost] = summary(&stderr);
        Finished {
            lines,
            stderr,
            seen,
            shown,
            lost,
        }
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
