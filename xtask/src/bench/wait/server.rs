//! A daemon of the benchmark, and requests to it.

use std::{
    fs::Permissions,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;

use super::programs::Programs;
use crate::{
    bench::{process::Process, rounds},
    command::{self, OwnedChild},
};

/// How long the daemon may take to serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon, which ends when it is dropped.
pub(crate) struct Server {
    child: OwnedChild,
    /// The directory of the socket. Every user may read it, and only its owner may write.
    directory: PathBuf,
}

impl Server {
    /// Starts a daemon and returns when it is healthy.
    pub(crate) fn start(programs: &Programs) -> Result<Self> {
        let name = format!("probe-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
        let mut daemon = Command::new(&programs.probe);
        daemon.args(["--quiet", "daemon", "--mode", "0666", "--socket"]);
        daemon.arg(socket(&directory)).stdin(Stdio::null());
        let mut server = Self {
            child: command::spawn(&mut daemon)?,
            directory,
        };
        let begun = Instant::now();
        let is_healthy = |server: &Self| {
            let stream = server.request("GET", "/healthz", "");
            stream
                .and_then(Answer::read)
                .is_ok_and(|answer| answer.is_ok())
        };
        while !is_healthy(&server) {
            if let Some(status) = server.child.0.try_wait()? {
                bail!("the daemon ended with {status}");
            }
            ensure!(begun.elapsed() < PATIENCE, "the daemon does not serve");
            rounds::pause(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(super) fn process(&self) -> Process {
        Process(self.child.0.id())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.directory)
    }

    /// A copy of `bench_waiter` that every user can run, because the checkout may be in a
    /// private directory, and the socket.
    pub(super) fn client(&self, waiter: &Path) -> Result<[PathBuf; 2]> {
        let copy = self.directory.join("bench_waiter");
        fs::copy(waiter, &copy)?;
        Ok([copy, socket(&self.directory)])
    }

    /// Sends a request. The answer may continue while the stream is open.
    pub(super) fn request(&self, method: &str, target: &str, body: &str) -> Result<UnixStream> {
        let mut stream = UnixStream::connect(socket(&self.directory)).context("connect")?;
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream
            .write_all(request.as_bytes())
            .context("send a request")?;
        Ok(stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("left behind: {error}");
        }
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("probe.sock")
}

pub(super) struct Answer(pub(super) Vec<u8>);

impl Answer {
    pub(super) fn read(mut stream: UnixStream) -> Result<Self> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).context("read the answer")?;
        Ok(Self(bytes))
    }

    pub(super) fn is_ok(&self) -> bool {
        self.0.starts_with(b"HTTP/1.1 200 ")
    }

    /// The number of lines that start with `beginning`. The body is searched in its chunked
    /// form: a chunk must not end inside `beginning`, and may end anywhere else.
    pub(super) fn count_lines(&self, beginning: &str) -> usize {
        let line = format!("\n{beginning}");
        self.0
            .windows(line.len())
            .filter(|it| *it == line.as_bytes())
            .count()
    }
}
