//! A program that answers line by line.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bench::process::Process;

/// Whoever says nothing for so long hangs: that is a finding, not a figure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Dropping it kills it.
#[derive(Debug)]
pub(super) struct Talker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Talker {
    /// Back when it has said `ready`.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut talker = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        };
        let said = talker.hear()?;
        ensure!(said == "ready", "it said {said:?} before it was ready");
        Ok(talker)
    }

    pub(super) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// One write, so that it wakes once.
    pub(super) fn tell(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.stdin.write_all(line.as_bytes()).context("it is gone")
    }

    /// Its next line.
    pub(super) fn hear(&mut self) -> Result<String> {
        if self.stdout.buffer().is_empty() {
            self.await_more()?;
        }
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("it ended with {}", self.child.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    fn await_more(&self) -> Result<()> {
        let mut fds = [PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE)?;
        let ready = poll(&mut fds, Some(&patience)).context("wait for its answer")?;
        ensure!(ready == 1, "no answer within {} s", PATIENCE.as_secs());
        Ok(())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
