//! A `probe daemon` for one test.

use std::{
    fs::{self, Permissions},
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Deadline, Output, Running, conditions,
    http::{self, Answer},
    requirements,
};

/// A running daemon. Dropping it kills the process.
#[derive(Debug)]
pub struct Daemon {
    process: Running,
    socket: PathBuf,
    /// The directory of the socket, unless the test chose the path.
    _directory: Option<TempDir>,
}

impl Deref for Daemon {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.process
    }
}

impl Daemon {
    /// Starts `probe daemon` with these arguments and a socket, and returns when it is healthy.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        let directory = Self::directory();
        let socket = directory.path().join("probe.sock");
        let path = socket.to_str().expect("text");
        let args = [&["daemon", "--socket", path], args].concat();
        let daemon = Self::start_in(&mut conditions::unrestricted(&args), &socket);
        Self {
            _directory: Some(directory),
            ..daemon
        }
    }

    /// A directory for sockets that every user may read.
    #[must_use]
    pub fn directory() -> TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("our own directory");
        directory
    }

    /// Starts the daemon with this command, which serves at this socket, and returns when it
    /// is healthy.
    #[must_use]
    pub fn start_in(command: &mut Command, socket: &Path) -> Self {
        requirements::require_bpf();
        let daemon = Self::spawn(command, socket);
        daemon.await_health();
        daemon
    }

    /// As [`Daemon::start_in`], without waiting for the daemon to be healthy.
    #[must_use]
    pub fn spawn(command: &mut Command, socket: &Path) -> Self {
        Self {
            process: Running::start(command),
            socket: socket.to_owned(),
            _directory: None,
        }
    }

    /// Returns when `GET /healthz` is answered with 200.
    pub fn await_health(&self) {
        Deadline::start().until("the daemon is healthy", || {
            assert!(
                self.is_running(),
                "the daemon ended: {:#?}",
                self.stderr.rest()
            );
            let response = http::try_send(&self.socket, "GET", "/healthz", None);
            response.is_some_and(|response| response.status == 200)
        });
    }

    /// Path of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a GET request.
    #[must_use]
    pub fn get(&self, target: &str) -> Answer {
        http::send(&self.socket, "GET", target, None)
    }

    /// Sends a POST request.
    #[must_use]
    pub fn post(&self, target: &str, body: &Value) -> Answer {
        http::send(&self.socket, "POST", target, Some(body))
    }

    /// Sends SIGTERM, as a supervisor does. The daemon must exit with 0 and remove its socket.
    #[must_use]
    pub fn stop(self) -> Output {
        let socket = self.socket.clone();
        let output = self.stop_keeping_socket();
        assert!(!socket.exists(), "{} was left", socket.display());
        output
    }

    /// As [`Daemon::stop`], for a daemon that cannot remove its socket because another user owns
    /// the directory.
    #[must_use]
    pub fn stop_keeping_socket(self) -> Output {
        self.signal(Signal::TERM);
        let output = self.finish();
        assert_eq!(output.code, Some(0), "{output:#?}");
        output
    }

    /// Collects the output until the daemon ends, which must happen within the deadline.
    #[must_use]
    pub fn finish(self) -> Output {
        self.process.finish()
    }
}
