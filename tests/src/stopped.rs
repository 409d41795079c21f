//! A `probe` that `src/bin/stop_at_syscall.rs` has stopped at a system call.

use std::{
    io::Write,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Deadline, Output, binaries, child::collect, lines::Lines, record};

/// A stopped `probe`. Dropping it kills the tracer, and with it `probe`.
#[derive(Debug)]
pub struct Stopped {
    tracer: Child,
    stdin: ChildStdin,
    stdout: Lines,
    stderr: Lines,
    probe: Pid,
}

impl Stopped {
    /// Starts `probe` with these arguments, and returns when it enters this system call for the
    /// first time.
    #[must_use]
    pub fn at(call: &str, args: &[&str]) -> Self {
        Self::start(call, args).unwrap_or_else(|output| {
            panic!("{args:?} did not call {call}: {output:#?}");
        })
    }

    /// Starts `probe`, and returns when its main thread has entered or left system calls this
    /// number of times. `Err` is the output of a `probe` that ended before.
    pub fn at_stop(number: u32, args: &[&str]) -> Result<Self, Output> {
        Self::start(&number.to_string(), args)
    }

    fn start(call: &str, args: &[&str]) -> Result<Self, Output> {
        let mut command = Command::new(binaries::program("stop_at_syscall"));
        let mut tracer = command
            .arg(call)
            .arg(binaries::probe())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdout = Lines::of(tracer.stdout.take().expect("piped"));
        let stderr = Lines::of(tracer.stderr.take().expect("piped"));
        let Ok(line) = stdout.next(Deadline::start()) else {
            return Err(collect(&mut tracer, &stdout, &stderr));
        };
        let report: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if report["type"] != Value::Null {
            let mut output = collect(&mut tracer, &stdout, &stderr);
            output.stdout.insert_str(0, &format!("{line}\n"));
            return Err(output);
        }
        Ok(Self {
            stdin: tracer.stdin.take().expect("piped"),
            stdout,
            stderr,
            tracer,
            probe: Pid::from_raw(record::pid(&report).cast_signed()).expect("not 0"),
        })
    }

    /// Sends `probe` a signal, which is delivered when it resumes. Only SIGKILL is delivered at
    /// once.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.probe, signal).expect("probe is stopped");
    }

    /// Resumes `probe`.
    pub fn resume(&mut self) {
        self.stdin.write_all(b"\n").expect("the tracer reads it");
    }

    /// The next line of stderr.
    #[must_use]
    pub fn next_stderr_line(&self) -> String {
        let line = self.stderr.next(Deadline::start());
        line.unwrap_or_else(|reason| panic!("no line on stderr: {reason:?}"))
    }

    /// The remaining output of a `probe` that was sent SIGKILL.
    #[must_use]
    pub fn killed(mut self) -> Output {
        self.resume();
        self.finish()
    }

    /// Collects the remaining output until `probe` ends, which must happen within the deadline.
    #[must_use]
    pub fn finish(mut self) -> Output {
        collect(&mut self.tracer, &self.stdout, &self.stderr)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Both calls fail if the tracer has been reaped.
        let _ended = self.tracer.kill();
        let _reaped = self.tracer.wait();
    }
}
