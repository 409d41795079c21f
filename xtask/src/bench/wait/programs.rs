//! The programs that take part, built: ours by cargo, the peers by cc.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread::available_parallelism,
};

use anyhow::{Context, Result};

use super::talker::Talker;
use crate::{bench::report, checkout, command};

/// How long a bare poll is given when nothing is in its way.
const UNDISTURBED_MS: u32 = 10_000;
/// A delayed notification comes 16 ms late at most: one that is not there after
/// this never comes.
const DISTURBED_MS: u32 = 60;

/// Without any privilege.
const NOBODY: u32 = 65_534;

#[derive(Debug)]
pub(super) struct Programs {
    pub(super) probe: PathBuf,
    pub(super) bell: PathBuf,
    /// `bench_waiter` of another version.
    before: PathBuf,
    client: Option<Client>,
    poll: PathBuf,
    herd: PathBuf,
}

/// A client of a daemon, which runs as nobody.
#[derive(Debug)]
pub(super) struct Client {
    /// Where nobody can run it.
    pub(super) bell: PathBuf,
    pub(super) socket: PathBuf,
}

/// What a client of a daemon listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ears {
    /// To the daemon, and to what it watches itself.
    Own,
    /// To the daemon only.
    Deaf,
}

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The library.
    Bell(Backend),
    /// The library of another version, with BPF.
    Before,
    /// The library, which asks a daemon.
    Client(Ears),
    /// poll(2) on `cgroup.events`.
    Poll,
    /// The same, given up soon.
    PollBriefly,
    /// `kill -0` every so many milliseconds.
    Alive(u32),
}

/// Of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    Bpf,
    Pidfd,
    Poll,
}

impl Backend {
    pub(super) const ALL: [Self; 3] = [Self::Bpf, Self::Pidfd, Self::Poll];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Pidfd => "pidfd",
            Self::Poll => "poll",
        }
    }
}

impl Programs {
    pub(super) fn build() -> Result<Self> {
        // One by one: built together with the tests, the command would have features that
        // it does not ship with.
        for (package, program) in [("probe-cli", "probe"), ("probe-tests", "bench_waiter")] {
            command::run(checkout::cargo().args([
                "build",
                "--quiet",
                "--release",
                "--package",
                package,
                "--bin",
                program,
            ]))?;
        }
        Ok(Self {
            probe: checkout::probe(),
            bell: checkout::target().join("release/bench_waiter"),
            before: PathBuf::new(),
            client: None,
            poll: compile("poll")?,
            herd: compile("herd")?,
        })
    }

    /// The program of another version.
    pub(super) fn beside(mut self, before: PathBuf) -> Self {
        self.before = before;
        self
    }

    /// Who asks a daemon, from now on.
    pub(super) fn served_at(&mut self, client: Client) {
        self.client = Some(client);
    }

    pub(super) fn start(&self, who: Who) -> Result<Talker> {
        let poll = |words: [String; 2]| Talker::start(Command::new(&self.poll).args(words));
        match who {
            Who::Bell(backend) => Talker::start(Command::new(&self.bell).arg(backend.as_str())),
            Who::Before => Talker::start(Command::new(&self.before).arg("bpf")),
            Who::Client(ears) => {
                let client = self.client.as_ref().context("there is no daemon")?;
                Talker::start(&mut client.command(ears))
            }
            Who::Poll => poll(["events".to_owned(), UNDISTURBED_MS.to_string()]),
            Who::PollBriefly => poll(["events".to_owned(), DISTURBED_MS.to_string()]),
            Who::Alive(period_ms) => poll(["alive".to_owned(), period_ms.to_string()]),
        }
        .with_context(|| format!("start {who:?}"))
    }

    pub(super) fn herd(&self) -> Result<Talker> {
        Talker::start(Command::new(&self.herd).arg("breed")).context("start the herd")
    }

    /// One on each CPU; they spin until they are dropped.
    pub(super) fn hogs(&self) -> Result<Vec<Talker>> {
        let cpus = available_parallelism().context("count the CPUs")?.get();
        (0..cpus)
            .map(|cpu| Talker::start(Command::new(&self.herd).arg("hog").arg(cpu.to_string())))
            .collect::<Result<_>>()
            .context("start a hog on each CPU")
    }
}

impl Client {
    fn command(&self, ears: Ears) -> Command {
        let mut command = Command::new(&self.bell);
        command
            .arg(match ears {
                Ears::Own => "daemon",
                Ears::Deaf => "daemon-only",
            })
            .arg(&self.socket)
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir("/");
        command
    }
}

fn compile(name: &str) -> Result<PathBuf> {
    let cc = command::find("cc").context(
        "no C compiler (cc): the peer of this benchmark is a C program; \
         install one, such as the Debian package gcc",
    )?;
    let source = Path::new("xtask/src/bench/wait").join(name);
    let program = report::directory()?.join(name);
    let mut compile = Command::new(cc);
    compile
        .args(["-O2", "-Wall", "-o"])
        .arg(&program)
        .arg(checkout::root().join(source).with_extension("c"));
    command::run(&mut compile)?;
    Ok(program)
}
