//! The programs that take part: the library in `bench_waiter`, built by cargo, and the
//! peers, compiled by cc. All of them reply to lines.

use std::{
    io::{BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    thread::available_parallelism,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    bench::{lines, process::Process, report},
    checkout,
    command::{self, OwnedChild},
};

const NOBODY: u32 = 65_534;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The library with this backend.
    Library(&'static str),
    /// The library of another version, with BPF.
    OldLibrary,
    /// The library without privilege, which asks a daemon in this mode.
    Client(&'static str),
    /// poll(2) on `cgroup.events`, with this limit in milliseconds.
    Poll(u32),
    /// `kill -0` with this period in milliseconds.
    KillZero(u32),
}

impl Kind {
    /// The line that makes the program wait.
    pub(super) fn request(self, until_reaped: bool, directory: &str, pid: &str) -> String {
        match self {
            Self::Poll(_) => directory.to_owned(),
            Self::KillZero(_) => pid.to_owned(),
            _ if until_reaped => format!("reaped {pid}"),
            _ => format!("empty {directory}"),
        }
    }

    /// The period with which the program looks, or 0.
    pub(super) fn period_ms(self) -> u64 {
        match self {
            Self::KillZero(period_ms) => period_ms.into(),
            _ => 0,
        }
    }
}

pub(crate) struct Programs {
    pub(super) probe: PathBuf,
    pub(super) waiter: PathBuf,
    /// `bench_waiter` of another version.
    pub(super) old_waiter: PathBuf,
    /// `bench_waiter` where every user can run it, and the socket of a daemon.
    pub(super) client: Option<[PathBuf; 2]>,
    poll: PathBuf,
    spawner: PathBuf,
}

impl Programs {
    /// The peers, compiled by cc.
    pub(crate) fn peers() -> Result<Self> {
        Ok(Self {
            probe: checkout::probe(),
            waiter: checkout::target().join("release/bench_waiter"),
            old_waiter: PathBuf::new(),
            client: None,
            poll: compile("poll")?,
            spawner: compile("spawner")?,
        })
    }

    pub(crate) fn probe(&self) -> &Path {
        &self.probe
    }

    /// The C program that polls.
    pub(crate) fn poll(&self) -> &Path {
        &self.poll
    }

    pub(super) fn build() -> Result<Self> {
        // One build after the other: together with the tests, probe would have features
        // that are not released.
        checkout::build_probe()?;
        let waiter = "build --quiet --release -p probe-tests --bin bench_waiter";
        command::run(&mut checkout::cargo(waiter))?;
        Self::peers()
    }

    pub(super) fn start(&self, kind: Kind) -> Result<Program> {
        let mut words = Vec::new();
        let (program, word) = match kind {
            Kind::Library(backend) => (&self.waiter, backend),
            Kind::OldLibrary => (&self.old_waiter, "bpf"),
            Kind::Client(mode) => {
                let [program, socket] = self.client.as_ref().context("there is no daemon")?;
                words.push(socket.display().to_string());
                (program, mode)
            }
            Kind::Poll(_) => (&self.poll, "events"),
            Kind::KillZero(_) => (&self.poll, "alive"),
        };
        if let Kind::Poll(ms) | Kind::KillZero(ms) = kind {
            words.push(ms.to_string());
        }
        let mut command = Command::new(program);
        command.arg(word).args(words);
        if matches!(kind, Kind::Client(_)) {
            command.uid(NOBODY).gid(NOBODY).current_dir("/");
        }
        Program::start(&mut command)
    }

    /// The parent of the processes that are killed.
    pub(crate) fn spawner(&self) -> Result<Program> {
        Program::start(Command::new(&self.spawner).arg("spawn"))
    }

    /// A process on each CPU; they spin until they are dropped.
    pub(super) fn spin(&self) -> Result<Vec<Program>> {
        let cpus = available_parallelism().context("count the CPUs")?.get();
        let spin = |cpu: usize| {
            let mut command = Command::new(&self.spawner);
            Program::start(command.arg("spin").arg(cpu.to_string()))
        };
        (0..cpus).map(spin).collect()
    }
}

fn compile(name: &str) -> Result<PathBuf> {
    let cc = command::find("cc").context(
        "no C compiler (cc): the peer of this benchmark is a C program; \
         install one, such as the Debian package gcc",
    )?;
    let source = checkout::root().join(format!("xtask/src/bench/wait/{name}.c"));
    let program = report::directory()?.join(name);
    let mut compile = Command::new(cc);
    compile
        .args(["-O2", "-Wall", "-o"])
        .args([&program, &source]);
    command::run(&mut compile)?;
    Ok(program)
}

/// A program that runs and replies to lines.
pub(crate) struct Program {
    child: OwnedChild,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    name: String,
}

impl Program {
    /// Starts a program and returns when it is ready.
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdout = child.0.stdout.take().context("no stdout")?;
        let mut program = Self {
            stdin: child.0.stdin.take().context("no stdin")?,
            stdout: BufReader::new(stdout),
            child,
            name: command.get_program().display().to_string(),
        };
        let reply = program.receive()?;
        ensure!(reply == "ready", "{} printed {reply:?}", program.name);
        Ok(program)
    }

    pub(super) fn process(&self) -> Process {
        Process(self.child.0.id())
    }

    /// Sends a line and returns the next one. The line is one write, so that it wakes the
    /// program once.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        let line = format!("{line}\n");
        let sent = self.stdin.write_all(line.as_bytes());
        sent.with_context(|| format!("{} has ended", self.name))?;
        self.receive()
    }

    pub(crate) fn receive(&mut self) -> Result<String> {
        let line = lines::next(&mut self.stdout).with_context(|| self.name.clone())?;
        match line {
            Some(line) => Ok(line),
            None => bail!("{} ended with {}", self.name, self.child.0.wait()?),
        }
    }
}
