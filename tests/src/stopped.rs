//! A `probe` that `src/bin/stop_at_syscall.rs` has stopped at a system call.

use std::{
    io::Write,
    iter,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Output, Running, binaries, record};

/// A stopped `probe`. Dropping it kills the tracer, and with it `probe`.
#[derive(Debug)]
pub struct Stopped {
    tracer: Running,
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
        command.arg(call).arg(binaries::probe_for(args)).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let tracer = Running::spawn(command.stderr(Stdio::piped()));
        let mut lines = iter::from_fn(|| tracer.next_line()).map(|line| {
            let parsed: Result<Value, _> = serde_json::from_str(&line);
            let value = parsed.unwrap_or_else(|error| panic!("{error} in {line}"));
            (value, line)
        });
        // A kill is armed before its first signal.
        let report = lines.find(|(value, _)| value["type"] != "armed");
        drop(lines);
        let Some((report, line)) = report else {
            return Err(tracer.finish());
        };
        if report["type"] != Value::Null {
            let mut output = tracer.finish();
            output.stdout.insert_str(0, &format!("{line}\n"));
            return Err(output);
        }
        Ok(Self {
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
        let stdin = self.tracer.stdin.as_mut().expect("piped");
        stdin.write_all(b"\n").expect("the tracer reads it");
    }

    /// The next line of stderr.
    #[must_use]
    pub fn next_stderr_line(&self) -> String {
        self.tracer.next_stderr_line()
    }

    /// The remaining output of a `probe` that was sent SIGKILL.
    #[must_use]
    pub fn killed(mut self) -> Output {
        self.resume();
        self.finish()
    }

    /// Collects the remaining output until `probe` ends, which must happen within the deadline.
    #[must_use]
    pub fn finish(self) -> Output {
        self.tracer.finish()
    }
}
