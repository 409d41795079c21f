//! A `probe` that runs, and one that ran to its end.

use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Deadline, Output, Waiting, binaries, child::spawn, lines::Lines, record, requirements,
    schema::parse_line, victim::ended,
};

/// `probe trace --json`, running. Every line that is read is held against its
/// schema and kept.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    seen: Vec<Value>,
    said: Vec<String>,
}

/// What a trace said from its beginning to its end.
#[derive(Debug)]
pub struct Finished {
    /// All lines of stdout, in order.
    pub lines: Vec<Value>,
    /// All lines of stderr.
    pub stderr: Vec<String>,
    /// From the summary: records that the kernel half handed over.
    pub seen: u64,
    /// From the summary: records printed.
    pub shown: u64,
    /// From the summary: records missing.
    pub lost: u64,
}

/// Runs `probe` to its end, within the deadline.
#[must_use]
pub fn probe(args: &[&str]) -> Output {
    probe_in(Command::new(binaries::probe()).args(args))
}

/// The same for a command that runs `probe` under other conditions.
/// Its stdin is empty.
#[must_use]
pub fn probe_in(command: &mut Command) -> Output {
    Waiting::start(command).finish()
}

impl Probe {
    /// Starts `probe trace --json` with these arguments besides, and returns
    /// when it says that it is attached.
    #[must_use]
    pub fn trace(args: &[&str]) -> Self {
        let mut command = Command::new(binaries::probe());
        command.args(["trace", "--json"]).args(args);
        Self::trace_in(&mut command)
    }

    /// The same for a command that starts a trace under other conditions.
    #[must_use]
    pub fn trace_in(command: &mut Command) -> Self {
        requirements::require_bpf();
        let mut child = spawn(command);
        let mut probe = Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            seen: Vec::new(),
            said: Vec::new(),
        };
        probe.attached();
        probe
    }

    /// Returns when it says (once more) that it is attached.
    pub fn attached(&mut self) {
        let deadline = Deadline::start();
        loop {
            match self.stderr.next(deadline) {
                Ok(line) => {
                    let is_it = line.starts_with("tracing:");
                    self.said.push(line);
                    if is_it {
                        return;
                    }
                }
                Err(why) => panic!("trace did not start ({why:?}): {:#?}", self.said),
            }
        }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that was not read yet.
    #[expect(
        clippy::should_implement_trait,
        reason = "a stream of events that panics when none comes is no iterator"
    )]
    pub fn next(&mut self) -> Value {
        self.read(Deadline::start(), "any line")
    }

    /// The first line, of those read before too, that is what is asked for.
    pub fn wait_for(&mut self, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        if let Some(line) = self.seen.iter().find(|line| is_it(line)) {
            return line.clone();
        }
        let deadline = Deadline::start();
        loop {
            let line = self.read(deadline, "a certain line");
            if is_it(&line) {
                return line;
            }
        }
    }

    /// The record of the death of this process.
    pub fn exit_of(&mut self, pid: u32) -> Value {
        self.wait_for(|line| record::is_exit(line) && line["pid"] == pid)
    }

    /// How many records of the death of this process have been read.
    #[must_use]
    pub fn exits_so_far(&self, pid: u32) -> usize {
        let is_it = |line: &&Value| record::is_exit(line) && line["pid"] == pid;
        self.seen.iter().filter(is_it).count()
    }

    fn read(&mut self, deadline: Deadline, what: &str) -> Value {
        match self.stdout.next(deadline) {
            Ok(line) => {
                let line = parse_line(&line);
                self.seen.push(line.clone());
                line
            }
            Err(why) => {
                self.said.extend(self.stderr.so_far());
                panic!(
                    "{what} did not come ({why:?}) after {:#?}\nstderr: {:#?}",
                    self.seen, self.said
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

    /// For a trace that ends without being told to.
    #[must_use]
    pub fn finish_by_itself(mut self) -> Finished {
        let lines = self.stdout.rest();
        self.seen.extend(lines.iter().map(|line| parse_line(line)));
        self.said.extend(self.stderr.rest());
        let status = ended(&mut self.child, Deadline::start());
        assert_eq!(status.code(), Some(0), "{status}: {:#?}", self.said);
        let [seen, shown, lost] = summary(&self.said);
        Finished {
            lines: std::mem::take(&mut self.seen),
            stderr: std::mem::take(&mut self.said),
            seen,
            shown,
            lost,
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Finished {
    /// The records of the deaths of this process.
    #[must_use]
    pub fn exits_of(&self, pid: u32) -> Vec<&Value> {
        self.exits().filter(|line| line["pid"] == pid).collect()
    }

    /// The one record of the death of this process.
    #[must_use]
    pub fn only_exit_of(&self, pid: u32) -> &Value {
        match self.exits_of(pid).as_slice() {
            [exit] => exit,
            others => panic!("not one record of {pid}: {others:#?}\nof {:#?}", self.lines),
        }
    }

    /// The records of all deaths.
    pub fn exits(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| record::is_exit(line))
    }
}

/// `seen N, shown N, lost N in S s`
fn summary(stderr: &[String]) -> [u64; 3] {
    let line = stderr.iter().find(|line| line.starts_with("seen "));
    let line = line.unwrap_or_else(|| panic!("no summary in {stderr:#?}"));
    let mut numbers = line.split([' ', ',']).filter_map(|word| word.parse().ok());
    [(); 3].map(|()| {
        numbers
            .next()
            .unwrap_or_else(|| panic!("not three numbers: {line}"))
    })
}
