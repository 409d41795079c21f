//! Starts, releases and reaps a process of `src/bin/victim`.

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

/// A process that waits to be released. It ends by itself when the harness ends.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
}

impl Victim {
    /// Starts a victim in the cgroup. It waits for [`Victim::release`].
    #[must_use]
    pub fn spawn(args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        Self::spawn_as("victim", args, cgroup)
    }

    /// Starts another program of this package that understands `held`.
    #[must_use]
    pub fn spawn_as(program: &str, args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut command = Command::new(binaries::program(program));
        Self::spawn_command(command.arg("held").args(args), cgroup)
    }

    /// Starts any command that reads a line first.
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
            // Taken, because `Child::wait` would close it and thereby end the victim.
            stdin: child.stdin.take(),
            stdout: Lines::of(child.stdout.take().expect("piped")),
            child,
        }
    }

    /// Starts a victim and releases it.
    #[must_use]
    pub fn start(args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut victim = Self::spawn(args, cgroup);
        victim.release();
        victim
    }

    /// Starts another program of this package and releases it.
    #[must_use]
    pub fn start_as(program: &str, args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut victim = Self::spawn_as(program, args, cgroup);
        victim.release();
        victim
    }

    /// Starts the program `crowd` and waits until it is ready. Returns the pid that it reports
    /// as well.
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

    /// Lets the victim continue.
    pub fn release(&mut self) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(b"\n").expect("the victim waits for it");
    }

    /// The next report, a JSON line.
    #[must_use]
    pub fn report(&self) -> Value {
        let line = self.stdout.next(Deadline::start());
        let line = line.unwrap_or_else(|reason| panic!("no report of the victim: {reason:?}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// All remaining reports.
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

    /// Reaps the victim; returns the raw status of `waitpid`.
    pub fn wait(&mut self) -> i32 {
        self.wait_within(DEADLINE)
    }

    /// As [`Victim::wait`], with another deadline.
    pub fn wait_within(&mut self, patience: Duration) -> i32 {
        ended(&mut self.child, Deadline::after(patience)).into_raw()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Both calls fail if the victim has been reaped.
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

/// The state of a process, a letter; `None` without such a process.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
