//! The other side of `src/bin/victim`: starts it, holds it back, judges it.

use std::{
    fs,
    io::Write,
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::Value;

use crate::{Cgroup, DEADLINE, Deadline, binaries, lines::Lines, record};

/// A process that is about to die. It does nothing until it is released, and
/// ends by itself when the harness does.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
}

impl Victim {
    /// Starts a victim that waits for [`Victim::release`] inside the cgroup.
    #[must_use]
    pub fn spawn(args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        Self::spawn_as("victim", args, cgroup)
    }

    /// The same for another program of this package that knows `held`.
    #[must_use]
    pub fn spawn_as(program: &str, args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut command = Command::new(binaries::program(program));
        Self::spawn_command(command.arg("held").args(args), cgroup)
    }

    /// The same for any command that reads a line before it goes on.
    #[must_use]
    pub fn spawn_command(command: &mut Command, cgroup: Option<&Cgroup>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        if let Some(cgroup) = cgroup {
            cgroup.add(child.id());
        }
        Self {
            // `Child::wait` would close it, and with it the victim's life line.
            stdin: child.stdin.take(),
            stdout: Lines::of(child.stdout.take().expect("piped")),
            child,
        }
    }

    /// Starts a victim and lets it go.
    #[must_use]
    pub fn start(args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut victim = Self::spawn(args, cgroup);
        victim.release();
        victim
    }

    /// The same for another program of this package.
    #[must_use]
    pub fn start_as(program: &str, args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut victim = Self::spawn_as(program, args, cgroup);
        victim.release();
        victim
    }

    /// A crowd that is ready, and the pid that it reports.
    #[must_use]
    pub fn crowd(args: &[&str], cgroup: &Cgroup) -> (Self, u32) {
        let mut crowd = Self::spawn_as("crowd", args, Some(cgroup));
        crowd.release();
        let pid = record::pid(&crowd.report());
        (crowd, pid)
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it do what it was started for.
    pub fn release(&mut self) {
        let stdin = self.stdin.as_mut().expect("open until it is dropped");
        stdin.write_all(b"\n").expect("the victim waits for it");
    }

    /// The next line of JSON that it printed.
    #[must_use]
    pub fn report(&self) -> Value {
        let line = self.stdout.next(Deadline::start());
        let line = line.unwrap_or_else(|why| panic!("the victim did not report: {why:?}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// All lines of JSON that it still prints.
    #[must_use]
    pub fn reports(&self) -> Vec<Value> {
        let lines = self.stdout.rest();
        let lines = lines.iter().map(|line| serde_json::from_str(line));
        lines.map(|line| line.expect("a line of JSON")).collect()
    }

    /// Sends a signal from this process.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("not reaped yet");
    }

    /// The raw status that `waitpid` gives: the judge.
    pub fn wait(&mut self) -> i32 {
        self.wait_within(DEADLINE)
    }

    /// The same for one that has more to do.
    pub fn wait_within(&mut self, patience: Duration) -> i32 {
        ended(&mut self.child, Deadline::after(patience)).into_raw()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Both fail if it was reaped, which is as good.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// [`Child::wait`] with a deadline.
pub(crate) fn ended(child: &mut Child, deadline: Deadline) -> ExitStatus {
    if let Ok(Some(status)) = child.try_wait() {
        return status;
    }
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).expect("not reaped yet");
    let patience = Timespec::try_from(deadline.left()).expect("seconds");
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&patience)).expect("poll of a pidfd");
    assert!(ready == 1, "process {} did not end in time", child.id());
    child.wait().expect("our child")
}

/// The letter of a process's state; `None` if nobody has the pid.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
