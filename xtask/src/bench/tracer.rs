//! The tracers that are compared: how each is started, and how one sees that it is
//! attached.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{process::Process, rounds};
use crate::{
    checkout,
    command::{self, OwnedChild},
};

const TRACEFS: &str = "/sys/kernel/tracing";
/// Far more time than any tracer takes to attach.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The verifier leaves cold caches and memory to be freed. A load right after it took up
/// to 4 % longer, even with every program unloaded; half a second later it did not.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub(crate) enum Tracer {
    /// `probe trace --json` of this binary.
    Probe(PathBuf),
    /// exitsnoop of libbpf-tools.
    Exitsnoop(PathBuf),
}

impl Tracer {
    pub(crate) fn probe() -> Result<Self> {
        checkout::build_probe()?;
        Ok(Self::Probe(checkout::probe()))
    }

    pub(crate) fn exitsnoop() -> Result<Self> {
        let found = command::find("exitsnoop");
        let found = found.context("no exitsnoop, the peer: `cargo xtask setup` unpacks it")?;
        Ok(Self::Exitsnoop(found))
    }

    /// Starts the tracer and returns when it is attached. Its output goes to `/dev/null`.
    pub(crate) fn start(&self) -> Result<Running> {
        let begun = Instant::now();
        let mut running = Running::spawn(&mut self.command())?;
        match self {
            Self::Probe(_) => running.read_until("tracing:")?,
            Self::Exitsnoop(_) => running.poll_until_attached(begun)?,
        }
        running.attached_after = begun.elapsed();
        Ok(running)
    }

    fn command(&self) -> Command {
        let (program, arguments) = match self {
            Self::Probe(program) => (program, ["trace", "--json"].as_slice()),
            Self::Exitsnoop(program) if Path::new(TRACEFS).join("events").exists() => {
                (program, [].as_slice())
            }
            Self::Exitsnoop(program) => {
                // exitsnoop needs a tracefs. This one is visible only to it and ends with it.
                let mut command = Command::new("unshare");
                let script = format!("mount -t tracefs tracefs {TRACEFS} && exec \"$0\"");
                command.args(["--mount", "sh", "-c", &script]).arg(program);
                return command;
            }
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    /// Starts the tracer and returns when the start no longer affects a load.
    pub(crate) fn start_and_settle(&self) -> Result<Running> {
        let running = self.start()?;
        rounds::pause(SETTLED_AFTER);
        Ok(running)
    }
}

pub(crate) struct Running {
    child: OwnedChild,
    stderr: BufReader<ChildStderr>,
    /// The time from before the fork until it was attached.
    pub(crate) attached_after: Duration,
}

impl Running {
    fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command::spawn(command.stderr(Stdio::piped()))?;
        let stderr = child.0.stderr.take().context("no stderr")?;
        Ok(Self {
            child,
            stderr: BufReader::new(stderr),
            attached_after: Duration::ZERO,
        })
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.0.id())
    }

    fn read_until(&mut self, start: &str) -> Result<()> {
        let mut text = String::new();
        loop {
            let at = text.len();
            if self.stderr.read_line(&mut text)? == 0 {
                bail!("it ended: {text}");
            }
            if text[at..].starts_with(start) {
                return Ok(());
            }
        }
    }

    /// Without a terminal the first line of exitsnoop comes too late.
    fn poll_until_attached(&mut self, begun: Instant) -> Result<()> {
        while !self.process().has_filled_epoll() {
            if let Some(status) = self.child.0.try_wait()? {
                bail!("it ended with {status}: {}", self.rest()?);
            }
            ensure!(begun.elapsed() < START_LIMIT, "it does not attach");
            rounds::pause(Duration::from_millis(2));
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<String> {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest)?;
        Ok(rest)
    }

    /// Ends the tracer as a user would; returns its stderr since it was attached.
    pub(crate) fn stop(mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.child.0), Signal::TERM).context("end the tracer")?;
        let rest = self.rest()?;
        self.child.0.wait()?;
        Ok(rest)
    }
}

/// The time that a program takes that does nothing: the share of the harness in
/// [`Running::attached_after`].
pub(crate) fn start_nothing() -> Result<Duration> {
    let begun = Instant::now();
    Running::spawn(&mut Command::new("true"))?.rest()?;
    Ok(begun.elapsed())
}
