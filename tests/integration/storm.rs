//! More exits than a reader can process: losses are reported, and only a full buffer causes
//! them.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use probe_tests::{
    Cgroup, DEADLINE, Running, Victim, Waiting, conditions, inapplicable, record, scale, schema,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::NamedTempFile;

/// More exits than fit into 4 KiB.
const SQUALL: u64 = 500;

fn exits() -> u64 {
    scale::few_or(100_000, 100_000) as u64
}

/// A trace that writes to a file, so that this process does not compete for the CPUs.
struct Trace {
    process: Running,
    file: NamedTempFile,
}

impl Trace {
    fn of(cgroup: &Cgroup, args: &[&str]) -> Self {
        let file = NamedTempFile::new().expect("a file");
        let mut command = conditions::trace(&["--json", "--cgroup", cgroup.path()]);
        command.args(args).stdin(Stdio::null());
        command.stdout(file.reopen().expect("our own file"));
        let process = Running::spawn(command.stderr(Stdio::piped()));
        process.wait_for_stderr("tracing:");
        Self { process, file }
    }

    /// Ends the trace; returns its records and `lost` from its summary.
    fn finish(self) -> (Vec<Value>, u64) {
        self.process.signal(Signal::INT);
        let output = self.process.finish();
        assert_eq!(output.code, Some(0), "{output:#?}");
        let lines = BufReader::new(self.file).lines().map(|line| {
            let line = line.expect("UTF-8");
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
        });
        let lost = output.stderr.split("lost ").nth(1);
        let lost = lost.and_then(|rest| rest.split(' ').next()?.parse().ok());
        (lines.collect(), lost.expect("a summary"))
    }
}

/// Runs `storm` in a cgroup; returns the pid of the parent.
fn storm(cgroup: &Cgroup) -> u32 {
    storm_of(exits(), cgroup)
}

fn storm_of(exits: u64, cgroup: &Cgroup) -> u32 {
    let mut storm = Victim::start(&["storm", &exits.to_string()], Some(cgroup));
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
    trace.process.signal(Signal::STOP);
    storm_of(SQUALL, &cgroup);
    trace.process.signal(Signal::CONT);
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

/// Since Linux 7.0 a program that reports a start may be preempted by one that reports an
/// exit, and both count on the same CPU.
#[test]
#[ignore = "needs root"]
fn on_one_cpu_every_start_and_exit_is_delivered_or_reported_lost() {
    const AT_ONCE: usize = 4;
    let cgroup = Cgroup::v2("one-cpu");
    let made = exits() / AT_ONCE as u64;
    let words = ["as", "65534", "on-cpu", "0", "storm", &made.to_string()];
    let mut storms = [(); AT_ONCE].map(|()| Victim::spawn(&words, Some(&cgroup)));
    // The kernel does not test the cgroups of starts: without the user, losses would include
    // starts of other processes.
    let args = ["--starts", "--uid", "65534", "--buffer", "4096"];
    let trace = Trace::of(&cgroup, &args);
    storms.iter_mut().for_each(Victim::release);
    for storm in &mut storms {
        assert_eq!(storm.wait_within(DEADLINE * 4), 0);
    }
    let (lines, lost) = trace.finish();
    let skipped: u64 = lines
        .iter()
        .filter(|line| line["reason"] == "skipped")
        .map(|line| record::number(line, "count"))
        .sum();
    overflowed(lost > skipped);
    // Each storm makes starts and exits, and exits itself.
    let truth = AT_ONCE as u64 * (made * 2 + 1);
    let delivered = count(&lines, |line| line["type"] != "lost");
    let accounted = delivered + lost;
    // A skipped program may have been one that had nothing to report.
    assert!(
        accounted >= truth && accounted - skipped <= truth,
        "{truth} starts and exits: {delivered} delivered, {lost} lost, {skipped} of them skipped"
    );
}

#[test]
#[ignore = "needs root"]
fn human_output_has_a_loss_in_the_stream_and_in_the_summary() {
    let cgroup = Cgroup::v2("told");
    let args = ["--buffer", "4096", "--cgroup", cgroup.path()];
    let trace = Waiting::start(&mut conditions::trace(&args));
    trace.wait_for_stderr("tracing:");
    storm(&cgroup);
    trace.signal(Signal::INT);
    let output = trace.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
    let summary = output.stderr;
    // The kernel may skip programs as well; that loss has no hint about the buffer.
    let is_it = |line: &&str| line.starts_with("... ") && line.contains("--buffer");
    let loss = output.stdout.lines().find(is_it);
    overflowed(loss.is_some());
    let loss = loss.expect("a line in the stream");
    assert!(loss.contains("events lost here"), "{loss}");
    assert!(!summary.contains("lost 0 "), "{summary}");
}
