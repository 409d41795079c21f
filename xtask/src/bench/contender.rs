//! A command as a user of the shell runs it: one process for one wait, from its start to
//! the return of waitpid(2).

use std::{
    io::BufReader,
    os::fd::OwnedFd,
    process::{ChildStderr, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{lines, process::Process, rounds};
use crate::command::{self, OwnedChild};

/// The sign of a process that it waits from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The first line of stdout.
    Stdout,
    /// A line with `armed` on stderr.
    Stderr,
    /// An epoll(7) with a descriptor in it: some programs print nothing.
    Epoll,
}

/// A command line. `{cgroup}` and `{pid}` stand for what it waits for.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    words: Vec<String>,
    sign: Sign,
    /// The part by which the line of the verdict is recognised, if the command prints one.
    verdict: Option<&'static str>,
}

impl Contender {
    /// A command that prints no verdict.
    pub(crate) fn new<T: Into<String>>(
        name: &'static str,
        words: impl IntoIterator<Item = T>,
        sign: Sign,
    ) -> Self {
        Self {
            name,
            words: words.into_iter().map(Into::into).collect(),
            sign,
            verdict: None,
        }
    }

    pub(crate) fn verdict(mut self, part: &'static str) -> Self {
        self.verdict = Some(part);
        self
    }

    /// Starts a process of the command, which need not be armed yet.
    pub(crate) fn start(&self, cgroup: &str, pid: &str) -> Result<Started> {
        let insert = |word: &String| word.replace("{cgroup}", cgroup).replace("{pid}", pid);
        let mut words = self.words.iter().map(insert);
        let mut command = Command::new(words.next().context("an empty command line")?);
        command.args(words).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command::spawn(&mut command)?;
        let stdout = child.0.stdout.take().context("no stdout")?;
        let stderr = child.0.stderr.take().context("no stderr")?;
        let pidfd = pidfd_open(Pid::from_child(&child.0), PidfdFlags::empty());
        Ok(Started {
            contender: self.clone(),
            begun,
            stdout: BufReader::new(stdout),
            stderr: BufReader::new(stderr),
            pidfd: pidfd.context("pidfd_open")?,
            child,
        })
    }
}

/// A process of a contender. Its pipes stay open until it has exited.
pub(crate) struct Started {
    contender: Contender,
    /// The moment before the process was spawned.
    pub(crate) begun: Instant,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    pidfd: OwnedFd,
    child: OwnedChild,
}

/// What a user sees, measured from a moment of the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The line of the verdict was read; `None` if the command prints none.
    pub(crate) verdict: Option<Duration>,
    /// waitpid(2) returned.
    pub(crate) returned: Duration,
}

impl Started {
    /// Returns when the process is armed, with the time since it was spawned.
    pub(crate) fn armed(&mut self) -> Result<Duration> {
        match self.contender.sign {
            Sign::Stdout => {
                let line = lines::next(&mut self.stdout)?;
                ensure!(line.as_deref() == Some("armed"), "it printed {line:?}");
            }
            Sign::Stderr => loop {
                match lines::next(&mut self.stderr)? {
                    Some(line) if line.contains("armed") => break,
                    Some(_) => {}
                    None => bail!("it ended before it was armed: {}", self.child.0.wait()?),
                }
            },
            Sign::Epoll => {
                let process = Process(self.child.0.id());
                while !process.has_filled_epoll() {
                    if let Some(status) = self.child.0.try_wait()? {
                        bail!("it ended before it was armed: {status}");
                    }
                    rounds::pause(Duration::from_micros(500));
                }
            }
        }
        Ok(self.begun.elapsed())
    }

    /// Waits for the process, and measures from `from` on. Reading the verdict and waiting
    /// for the process are two steps, as in a shell that reads from a pipe.
    pub(crate) fn end(mut self, from: Instant) -> Result<End> {
        let mut verdict = None;
        if let Some(part) = self.contender.verdict {
            while let Some(line) = lines::next(&mut self.stdout)? {
                if line.contains(part) {
                    verdict = Some(from.elapsed());
                    break;
                }
            }
        }
        lines::await_readable(&self.pidfd)?;
        let status = self.child.0.wait()?;
        let returned = from.elapsed();
        let mut stderr = Vec::new();
        if !status.success() {
            while let Some(line) = lines::next(&mut self.stderr)? {
                stderr.push(line);
            }
            bail!("it ended with {status}: {}", stderr.join("; "));
        }
        ensure!(
            verdict.is_some() == self.contender.verdict.is_some(),
            "it ended without a verdict"
        );
        Ok(End { verdict, returned })
    }
}
