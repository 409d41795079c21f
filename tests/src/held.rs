//! A `probe` that is held at a system call, see `src/bin/hold`.

use std::{
    io::Write,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Deadline, Output, binaries, lines::Lines, probe::collect, record};

/// A `probe` in the middle of what it does.
#[derive(Debug)]
pub struct Held {
    hold: Child,
    stdin: ChildStdin,
    stdout: Lines,
    stderr: Lines,
    probe: Pid,
}

impl Held {
    /// Starts `probe` with these arguments, and returns when it is about to make
    /// this system call for the first time.
    #[must_use]
    pub fn at(call: &str, args: &[&str]) -> Self {
        let mut command = Command::new(binaries::program("hold"));
        let mut hold = command
            .arg(call)
            .arg(binaries::probe())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdout = Lines::of(hold.stdout.take().expect("piped"));
        let stderr = Lines::of(hold.stderr.take().expect("piped"));
        let line = stdout.next(Deadline::start());
        let line = line
            .unwrap_or_else(|why| panic!("{args:?} did not come to {call} ({why:?}): {stderr:#?}"));
        let said = serde_json::from_str(&line);
        let pid = record::pid(&said.unwrap_or_else(|error| panic!("{error} in {line}")));
        Self {
            stdin: hold.stdin.take().expect("piped"),
            stdout,
            stderr,
            hold,
            probe: Pid::from_raw(pid.cast_signed()).expect("not 0"),
        }
    }

    /// Sends the `probe` a signal, of which it learns when it goes on. SIGKILL it
    /// does not learn of.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.probe, signal).expect("it is held");
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.stdin.write_all(b"\n").expect("it waits for it");
    }

    /// What it says next on stderr.
    #[must_use]
    pub fn says(&self) -> String {
        let line = self.stderr.next(Deadline::start());
        line.unwrap_or_else(|why| panic!("nothing came on stderr: {why:?}"))
    }

    /// Everything that was not read yet, until its end, which must come within
    /// the deadline.
    #[must_use]
    pub fn finish(mut self) -> Output {
        collect(&mut self.hold, &self.stdout, &self.stderr)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ended = self.hold.kill();
        let _reaped = self.hold.wait();
    }
}
