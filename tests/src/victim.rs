//! Starts, releases and reaps a process of `src/bin/victim`.

use std::{
    fs,
    io::Write,
    ops::Deref,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{Cgroup, DEADLINE, Deadline, Running, binaries, record};

/// A process that waits to be released. It ends by itself when the harness ends.
#[derive(Debug)]
pub struct Victim(Running);

impl Deref for Victim {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = Running::spawn(command);
        if let Some(cgroup) = cgroup {
            cgroup.add(process.pid());
        }
        Self(process)
    }

    /// Starts a victim and releases it.
    #[must_use]
    pub fn start(args: &[&str], cgroup: Option<&Cgroup>) -> Self {
        let mut victim = Self::spawn(args, cgroup);
        victim.release();
        victim
    }

    /// Starts a victim, releases it, and returns when it is ready. Returns the pid that it
    /// reports as well.
    #[must_use]
    pub fn ready<'a>(args: &[&str], cgroup: impl Into<Option<&'a Cgroup>>) -> (Self, u32) {
        let victim = Self::start(args, cgroup.into());
        let pid = record::pid(&victim.report());
        (victim, pid)
    }

    /// Starts a crowd of processes in the cgroup: `args` are their number, the tasks and the MiB
    /// of each. Returns the pid of the first as well.
    #[must_use]
    pub fn crowd(args: &[&str], cgroup: &Cgroup) -> (Self, u32) {
        Self::ready(&[&["crowd"], args].concat(), cgroup)
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The tid of a task of the victim that is not its leader.
    #[must_use]
    pub fn other_tid(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the victim lives");
        let mut tids = tasks.filter_map(|task| task.ok()?.file_name().into_string().ok());
        let tid = tids.find(|tid| *tid != self.pid().to_string());
        tid.expect("a second task")
    }

    /// Lets the victim continue.
    pub fn release(&mut self) {
        let stdin = self.0.stdin.as_mut().expect("stdin is open");
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

    /// Reaps the victim; returns the raw status of `waitpid`.
    pub fn wait(&mut self) -> i32 {
        self.wait_within(DEADLINE)
    }

    /// As [`Victim::wait`], with another deadline.
    pub fn wait_within(&mut self, patience: Duration) -> i32 {
        self.0.wait_until(Deadline::after(patience)).into_raw()
    }
}
