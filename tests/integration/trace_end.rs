//! The end of a trace: by its reader, a signal, its count or its duration.

use std::{
    fs::File,
    io::{PipeReader, pipe},
    process::{Command, Stdio},
};

use probe_tests::{
    Cgroup, DEADLINE, Deadline, Probe, Running, Victim, conditions, probe_in, requirements,
};
use rustix::process::Signal;

#[test]
#[ignore = "needs root"]
fn a_closed_pipe_ends_an_idle_trace_at_once() {
    let cgroup = Cgroup::v2("closed-pipe");
    let (trace, reader) = unread(&cgroup);
    // No process ever exits in the cgroup.
    drop(reader);
    assert_success(trace);
}

#[test]
#[ignore = "needs root"]
fn a_reader_that_exits_after_one_line_ends_a_trace() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("head");
    let script = "\"$0\" trace --json --cgroup \"$1\" | head -n 1; echo ${PIPESTATUS[0]}";
    let probe_path = conditions::unrestricted(&[]).get_program().to_owned();
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .arg(probe_path)
        .arg(cgroup.path());
    // Processes exit until the reader has its line, because the test cannot see when the trace
    // is attached.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                Victim::start(&["exit", "0"], Some(&cgroup)).wait();
            }
        });
        let output = probe_in(&mut command);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        output
    });
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!((lines.len(), lines.last()), (2, Some(&"0")), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_full_pipe_does_not_keep_a_trace_from_ending() {
    /// Enough lines to fill several pipes.
    const EXITS: &str = "2000";
    let cgroup = Cgroup::v2("unread");
    let (mut trace, reader) = unread(&cgroup);
    let readable = || rustix::io::ioctl_fionread(&reader).expect("a pipe");
    Deadline::start().until("the trace is attached", || {
        Victim::start(&["exit", "0"], Some(&cgroup)).wait();
        readable() > 0
    });
    Victim::start(&["storm", EXITS], Some(&cgroup)).wait();
    Deadline::start().until("the pipe is full", || readable() > 40_000);
    trace.signal(Signal::TERM);
    // The reader misses records, and nothing can say how many.
    let status = trace.wait();
    assert_eq!(status.code(), Some(1), "{status}");
}

/// A trace of a cgroup that writes to a pipe, and the reader of the pipe.
fn unread(cgroup: &Cgroup) -> (Running, PipeReader) {
    let (reader, stdout) = pipe().expect("a pipe");
    let mut command = conditions::trace(&["--json", "--cgroup", cgroup.path()]);
    command.stdin(Stdio::null()).stdout(stdout);
    (Running::spawn(command.stderr(Stdio::null())), reader)
}

fn assert_success(mut trace: Running) {
    let status = trace.wait();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_is_reported_as_a_failure() {
    let cgroup = Cgroup::v2("full");
    let mut command = conditions::trace(&["--cgroup", cgroup.path()]);
    let full = File::options().write(true).open("/dev/full");
    command
        .stdin(Stdio::null())
        .stdout(full.expect("/dev/full exists"));
    let output = Running::spawn(command.stderr(Stdio::piped())).finish();
    output.assert_refused(1, &["cannot write to stdout", "No space left"]);
}

#[test]
#[ignore = "needs root"]
fn signals_end_a_trace_with_a_summary() {
    for signal in [Signal::INT, Signal::TERM] {
        let cgroup = Cgroup::v2("signals");
        let mut trace = Probe::trace(&["--cgroup", cgroup.path()]);
        let mut victim = Victim::start(&["exit", "0"], Some(&cgroup));
        victim.wait();
        trace.exit_of(victim.pid());
        trace.signal(signal);
        let reported = trace.finish_by_itself();
        assert_eq!((reported.seen, reported.shown, reported.lost), (1, 1, 0));
    }
}

#[test]
#[ignore = "needs root"]
fn a_trace_ends_after_its_count() {
    let cgroup = Cgroup::v2("count");
    let trace = Probe::trace(&["--count", "3", "--cgroup", cgroup.path()]);
    for _ in 0..5 {
        Victim::start(&["exit", "0"], Some(&cgroup)).wait();
    }
    let reported = trace.finish_by_itself();
    assert_eq!((reported.lines.len(), reported.shown), (3, 3));
}

#[test]
#[ignore = "needs root"]
fn a_trace_ends_after_its_duration() {
    let cgroup = Cgroup::v2("duration");
    let begun = std::time::Instant::now();
    let trace = Probe::trace(&["--duration", "200ms", "--cgroup", cgroup.path()]);
    let reported = trace.finish_by_itself();
    assert!(reported.lines.is_empty());
    let took = begun.elapsed();
    assert!(took.as_millis() >= 200 && took < DEADLINE, "{took:?}");
}
