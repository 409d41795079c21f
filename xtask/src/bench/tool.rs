//! The tracers that are compared: how each is started, how one sees that it is
//! attached, and what it leaves behind (nothing).

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{process::Process, rounds};
use crate::{checkout, command};

const TRACEFS: &str = "/sys/kernel/tracing";
/// Far more than any of them takes to attach.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The verifier leaves caches cold and memory to be freed behind it: a load
/// that was timed at once took up to 4 % longer although every program was gone
/// again, and nothing of it was left after half a second.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// The tracers as they are on this machine.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) probe: PathBuf,
    /// Another version of it.
    pub(crate) before: PathBuf,
    exitsnoop: PathBuf,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `probe trace --json`.
    Probe,
    /// The same command of another version.
    Before,
    /// exitsnoop of libbpf-tools.
    Exitsnoop,
}

impl Tools {
    /// Builds ours, finds the other one.
    pub(crate) fn get() -> Result<Self> {
        Ok(Self {
            exitsnoop: find("exitsnoop")?,
            ..Self::beside(PathBuf::new())?
        })
    }

    /// Builds ours; the other one is another version of it.
    pub(crate) fn beside(before: PathBuf) -> Result<Self> {
        command::run(checkout::cargo().args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "probe-cli",
        ]))?;
        Ok(Self {
            probe: checkout::target().join("release/probe"),
            before,
            exitsnoop: PathBuf::new(),
        })
    }

    /// Starts one; back when it is attached. What it prints goes to `/dev/null`.
    pub(crate) fn start(&self, tool: Tool) -> Result<Running> {
        let begun = Instant::now();
        let mut running = Running::spawn(match tool {
            Tool::Probe => probe_trace(&self.probe),
            Tool::Before => probe_trace(&self.before),
            Tool::Exitsnoop => self.exitsnoop(),
        })?;
        match tool {
            Tool::Probe | Tool::Before => running.read_until("tracing:")?,
            Tool::Exitsnoop => running.poll_until_attached(begun)?,
        }
        running.attached_after = begun.elapsed();
        Ok(running)
    }

    /// Starts one; back when starting it is no longer to be felt.
    pub(crate) fn start_and_settle(&self, tool: Tool) -> Result<Running> {
        let running = self.start(tool)?;
        rounds::window(SETTLED_AFTER);
        Ok(running)
    }

    /// It wants a tracefs; where none is mounted it gets one that nobody else
    /// sees and that goes with it.
    fn exitsnoop(&self) -> Command {
        if Path::new(TRACEFS).join("events").exists() {
            return Command::new(&self.exitsnoop);
        }
        let mut command = Command::new("unshare");
        let script = format!("mount -t tracefs tracefs {TRACEFS} && exec \"$0\"");
        command.args(["--mount", "sh", "-c", &script]);
        command.arg(&self.exitsnoop);
        command
    }
}

fn probe_trace(probe: &Path) -> Command {
    let mut command = Command::new(probe);
    command.args(["trace", "--json"]);
    command
}

/// A peer, or what brings it.
fn find(name: &str) -> Result<PathBuf> {
    command::find(name).with_context(|| {
        format!("no {name}, which probe is held against: `cargo xtask setup` unpacks it")
    })
}

/// A tracer at work. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// From before the fork until it was attached.
    pub(crate) attached_after: Duration,
}

impl Running {
    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(File::options().write(true).open("/dev/null")?)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let stderr = child.stderr.take().context("no stderr")?;
        Ok(Self {
            child,
            stderr: BufReader::new(stderr),
            attached_after: Duration::ZERO,
        })
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    fn read_until(&mut self, start: &str) -> Result<()> {
        let mut said = String::new();
        loop {
            let at = said.len();
            if self.stderr.read_line(&mut said)? == 0 {
                bail!("it ended: {said}");
            }
            if said[at..].starts_with(start) {
                return Ok(());
            }
        }
    }

    /// Its stdout is no terminal, so its first line comes too late to tell.
    fn poll_until_attached(&mut self, begun: Instant) -> Result<()> {
        while !self.process().has_filled_epoll() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}: {}", self.rest()?);
            }
            ensure!(begun.elapsed() < START_LIMIT, "it does not attach");
            rounds::window(Duration::from_millis(2));
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<String> {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest)?;
        Ok(rest)
    }

    /// Ends it as a user would; what it had to say on stderr since it was
    /// attached.
    pub(crate) fn stop(mut self) -> Result<String> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).context("ask it to end")?;
        let rest = self.rest()?;
        self.child.wait()?;
        Ok(rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How long a program takes that does nothing: the share of the harness in
/// [`Running::attached_after`].
pub(crate) fn start_nothing() -> Result<Duration> {
    let begun = Instant::now();
    let mut running = Running::spawn(Command::new("true"))?;
    running.rest()?;
    Ok(begun.elapsed())
}

/// Size of a file.
pub(crate) fn size_bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)
        .with_context(|| format!("look at {}", path.display()))?
        .len())
}
