//! A `probe daemon` for one test.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Deadline, Output,
    child::{collect, spawn},
    conditions,
    http::{self, Answer},
    lines::Lines,
    requirements,
};

/// A running daemon. Dropping it kills the process.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    socket: PathBuf,
    /// The directory of the socket, unless the test chose the path.
    directory: Option<TempDir>,
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
        daemon.keeping(directory)
    }

    fn keeping(mut self, directory: TempDir) -> Self {
        self.directory = Some(directory);
        self
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
        let mut child = spawn(command);
        Self {
            stdout: Lines::of(child.stdout.take().expect("piped")),
            stderr: Lines::of(child.stderr.take().expect("piped")),
            child,
            socket: socket.to_owned(),
            directory: None,
        }
    }

    /// Returns when `GET /healthz` is answered with 200.
    pub fn await_health(&self) {
        Deadline::start().until("the daemon is healthy", || {
            assert!(
                !self.is_zombie(),
                "the daemon ended: {:#?}",
                self.stderr.rest()
            );
            self.is_healthy()
        });
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = http::connect(&self.socket) else {
            return false;
        };
        let request = b"GET /healthz HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n";
        let sent = std::io::Write::write_all(&mut stream, request);
        sent.is_ok() && Answer::read(stream).is_some_and(|answer| answer.status == 200)
    }

    fn is_zombie(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.expect("not reaped yet").contains(") Z ")
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Path of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// One field of `/proc/PID/status` of the daemon.
    #[must_use]
    pub fn status(&self, field: &str) -> String {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("not reaped yet");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let value = line.and_then(|rest| rest.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("no {field} in {status}"));
        value.trim().to_owned()
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

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("not reaped yet");
    }

    /// Sends SIGTERM, as a supervisor does. The daemon must exit with 0 and remove its socket.
    #[must_use]
    pub fn stop(self) -> Output {
        self.signal(Signal::TERM);
        let socket = self.socket.clone();
        let output = self.finish();
        assert_eq!(output.code, Some(0), "{output:#?}");
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
    pub fn finish(mut self) -> Output {
        collect(&mut self.child, &self.stdout, &self.stderr)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both calls fail if the daemon has been reaped.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
