//! A daemon of the benchmark's own, and how it is asked.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::super::programs::{Client, Programs};
use crate::bench::{process::Process, rounds};

const PATIENCE: Duration = Duration::from_secs(20);

/// Dropping it ends the daemon.
#[derive(Debug)]
pub(super) struct Serving {
    child: Child,
    /// Of the socket. Everybody may look into it, and nobody else write.
    directory: PathBuf,
    bell: PathBuf,
}

impl Serving {
    /// Back when it is healthy.
    pub(super) fn start(programs: &Programs) -> Result<Self> {
        let name = format!("probe-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
        fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
        let child = Command::new(&programs.probe)
            .args(["--quiet", "daemon", "--mode", "0666", "--socket"])
            .arg(socket(&directory))
            .stdin(Stdio::null())
            .spawn()
            .context("start the daemon")?;
        let mut serving = Self {
            child,
            directory,
            bell: programs.bell.clone(),
        };
        serving.await_health()?;
        Ok(serving)
    }

    fn await_health(&mut self) -> Result<()> {
        let begun = Instant::now();
        while !self.get("/healthz").is_ok_and(|answer| answer.is_ok()) {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the daemon ended with {status}");
            }
            ensure!(begun.elapsed() < PATIENCE, "the daemon does not serve");
            rounds::window(Duration::from_millis(5));
        }
        Ok(())
    }

    pub(super) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// A client that nobody need trust. The checkout may be where nobody looks.
    pub(super) fn client(&self) -> Result<Client> {
        let bell = self.directory.join("bench_waiter");
        fs::copy(&self.bell, &bell).context("copy the client")?;
        Ok(Client {
            bell,
            socket: socket(&self.directory),
        })
    }

    pub(super) fn get(&self, target: &str) -> Result<Answer> {
        Answer::of(self.ask("GET", target, "")?)
    }

    /// The answer may grow for as long as the stream is kept.
    pub(super) fn ask(&self, method: &str, target: &str, body: &str) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(socket(&self.directory)).context("connect")?;
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).context("ask")?;
        Ok(stream)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("left behind: {}: {error}", self.directory.display());
        }
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("probe.sock")
}

/// All bytes of an answer, as they came.
pub(super) struct Answer(Vec<u8>);

impl Answer {
    fn of(mut stream: UnixStream) -> Result<Self> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).context("read the answer")?;
        Ok(Self(bytes))
    }

    pub(super) fn is_ok(&self) -> bool {
        self.0.starts_with(b"HTTP/1.1 200 ")
    }

    /// Lines that begin so. Where the chunks are cut is not looked at.
    pub(super) fn count(&self, line: &str) -> usize {
        let starts = self.0.windows(line.len()).enumerate();
        let starts = starts.filter(|(at, it)| *it == line.as_bytes() && self.0[at - 1] == b'\n');
        starts.count()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}
