//! A `probe` that is held at a system call, see `src/bin/stop_at_syscall`.

use std::{
    io::Write,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Deadline, Output, binaries, child::collect, lines::Lines, record};

/// A `probe` in the middle of what it does.
#[derive(Debug)]
pub struct Stopped {
    tracer: Child,
    stdin: ChildStdin,
    stdout: Lines,
    stderr: Lines,
    probe: Pid,
}

impl Stopped {
    /// Starts `probe` with these arguments, and returns when it is about to make
    /// this system call for the first time.
    #[must_use]
    pub fn at(call: &str, args: &[&str]) -> Self {
        Self::start(call, args).unwrap_or_else(|output| {
            panic!("{args:?} did not come to {call}: {output:#?}");
        })
    }

    /// The same when its main thread has entered or left calls so many times, or
    /// how it ended before.
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
        let said: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if said["type"] != Value::Null {
            let mut output = collect(&mut tracer, &stdout, &stderr);
            output.stdout.insert_str(0, &format!("{line}\n"));
            return Err(output);
        }
        Ok(Self {
            stdin: tracer.stdin.take().expect("piped"),
            stdout,
            stderr,
            tracer,
            probe: Pid::from_raw(record::pid(&said).cast_signed()).expect("not 0"),
        })
    }

    /// Sends the `probe` a signal, of which it learns when it goes on. SIGKILL it
    /// does not learn of.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.probe, signal).expect("it is held");
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.stdin.write_all(b"\n").expect("it waits for it");
    }

    /// What it says next on stderr.
    #[must_use]
    pub fn next_stderr_line(&self) -> String {
        let line = self.stderr.next(Deadline::start());
        line.unwrap_or_else(|why| panic!("nothing came on stderr: {why:?}"))
    }

    /// The same of one that was sent SIGKILL: it does not go on.
    #[must_use]
    pub fn killed(mut self) -> Output {
        self.resume();
        self.finish()
    }

    /// Everything that was not read yet, until its end, which must come within
    /// the deadline.
    #[must_use]
    pub fn finish(mut self) -> Output {
        collect(&mut self.tracer, &self.stdout, &self.stderr)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ended = self.tracer.kill();
        let _reaped = self.tracer.wait();
    }
}
