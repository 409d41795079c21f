//! More exits than a reader can process: losses are reported, and only a full buffer causes
//! them.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use probe_tests::{Cgroup, DEADLINE, Victim, conditions, inapplicable, record, scale, schema};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// More exits than fit into 4 KiB.
const SQUALL: u64 = 500;

fn exits() -> u64 {
    scale::few_or(100_000, 100_000) as u64
}

/// A trace that writes to a file, so that this process does not compete for the CPUs.
struct Trace {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    file: tempfile::NamedTempFile,
}

impl Trace {
    fn of(cgroup: &Cgroup, args: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut child = conditions::trace(&["--json", "--cgroup", cgroup.path()])
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create(file.path()).expect("our own cgroup"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("probe starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut trace = Self {
            child,
            stderr,
            file,
        };
        trace.line_of_stderr("tracing:");
        trace
    }

    /// The next line of stderr with this prefix.
    fn line_of_stderr(&mut self, beginning: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            let length = self.stderr.read_line(&mut line).expect("a pipe");
            assert!(length > 0, "no line '{beginning}' of a trace that ended");
        }
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process runs");
    }

    /// Ends the trace; returns its records and `lost` from its summary.
    fn finish(mut self) -> (Vec<Value>, u64) {
        self.signal(Signal::INT);
        let summary = self.line_of_stderr("seen ");
        assert_eq!(self.child.wait().expect("our child").code(), Some(0));
        let file = BufReader::new(File::open(self.file.path()).expect("our own cgroup"));
        let lines = file.lines().map(|line| {
            let line = line.expect("UTF-8");
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
        });
        let lost = summary
            .split("lost ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        (
            lines.collect(),
            lost.expect("a summary").parse().expect("a number"),
        )
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Both calls fail if the process has been reaped.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs `storm` in a cgroup; returns the pid of the parent.
fn storm(cgroup: &Cgroup) -> u32 {
    storm_of(exits(), cgroup)
}

fn storm_of(exits: u64, cgroup: &Cgroup) -> u32 {
    let mut storm = Victim::spawn_as("storm", &[&exits.to_string()], Some(cgroup));
    storm.release();
    let status = storm.wait_within(DEADLINE * 4);
    assert_eq!(status, 0);
    assert_eq!(storm.report()["made"], exits);
    storm.pid()
}

/// Asserts that 4 KiB overflow. On an emulated machine the storm may be too slow.
fn overflowed(is_so: bool) {
    if !is_so && scale::is_emulated() {
        inapplicable("the emulated machine is too slow to fill the buffer");
    }
    assert!(is_so, "4 KiB hold all exits");
}

fn count(lines: &[Value], what: impl Fn(&Value) -> bool) -> u64 {
    lines.iter().filter(|line| what(line)).count() as u64
}

#[test]
#[ignore = "needs root"]
fn the_default_buffer_loses_none_of_100000_exits() {
    let cgroup = Cgroup::v2("storm");
    let trace = Trace::of(&cgroup, &[]);
    let parent = storm(&cgroup);
    let (lines, lost) = trace.finish();
    assert_eq!(lost, 0);
    assert_eq!(count(&lines, |line| line["type"] == "lost"), 0);
    assert_eq!(count(&lines, |line| line["ppid"] == parent), exits());
    // The parent exits too.
    assert_eq!(lines.len() as u64, exits() + 1);
    let mut keys: Vec<_> = lines
        .iter()
        .map(|line| (record::pid(line), record::number(line, "start_boottime_ns")))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(
        keys.len() as u64,
        exits() + 1,
        "one record for each process"
    );
    lines.iter().step_by(1000).for_each(schema::validate);
}

#[test]
#[ignore = "needs root"]
fn losses_of_a_tiny_buffer_are_reported_between_the_records() {
    let cgroup = Cgroup::v2("tiny");
    let trace = Trace::of(&cgroup, &["--buffer", "4096"]);
    // A stopped reader loses exits, however fast it is.
    trace.signal(Signal::STOP);
    storm_of(SQUALL, &cgroup);
    trace.signal(Signal::CONT);
    storm(&cgroup);
    let (lines, lost) = trace.finish();
    let reported: u64 = lines
        .iter()
        .filter(|line| line["type"] == "lost")
        .map(|line| record::number(line, "count"))
        .sum();
    let delivered = count(&lines, record::is_exit);
    assert!(lost > SQUALL / 2, "4 KiB hold {SQUALL} exits");
    assert_eq!(reported, lost, "the lines and the summary agree");
    assert_eq!(delivered + lost, SQUALL + 1 + exits() + 1);
    // A loss is reported between the surrounding records, not at the end.
    let first = lines.iter().position(|line| line["type"] == "lost");
    let first = first.expect("some were lost");
    let after = count(&lines[first..], record::is_exit);
    assert!(
        after > delivered / 2,
        "{after} of {delivered} exits after the first loss"
    );
    lines.iter().step_by(100).for_each(schema::validate);
}

#[test]
#[ignore = "needs root"]
fn human_output_has_a_loss_in_the_stream_and_in_the_summary() {
    let cgroup = Cgroup::v2("told");
    let mut child = conditions::trace(&["--buffer", "4096", "--cgroup", cgroup.path()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("probe starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("tracing:") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a pipe") > 0);
    }
    let stdout = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || std::io::read_to_string(stdout));
    storm(&cgroup);
    kill_process(Pid::from_child(&child), Signal::INT).expect("the process runs");
    let summary = std::io::read_to_string(stderr).expect("a pipe");
    let stdout = reader.join().expect("a reader").expect("UTF-8");
    assert_eq!(child.wait().expect("our child").code(), Some(0));
    // The kernel may skip programs as well; that loss has no hint about the buffer.
    let is_it = |line: &&str| line.starts_with("... ") && line.contains("--buffer");
    let loss = stdout.lines().find(is_it);
    overflowed(loss.is_some());
    let loss = loss.expect("a line in the stream");
    assert!(loss.contains("events lost here"), "{loss}");
    assert!(!summary.contains("lost 0 "), "{summary}");
}
