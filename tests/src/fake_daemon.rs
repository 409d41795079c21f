//! A server that behaves as no daemon does, to test the client.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::Uid,
    thread::set_thread_res_uid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Daemon;

/// A running server. It listens until it is dropped.
#[derive(Debug)]
pub struct FakeDaemon {
    directory: TempDir,
    is_over: Arc<AtomicBool>,
}

/// A connection of a client.
#[derive(Debug)]
pub struct Connection(BufReader<UnixStream>);

/// A request of a client.
#[derive(Debug)]
pub struct Request {
    /// Method and target, as in `GET /v1/info`.
    pub line: String,
    /// The JSON body; null without one.
    pub body: Value,
}

const NAME: &str = "probe.sock";

impl FakeDaemon {
    /// Runs `script` for every connection.
    #[must_use]
    pub fn start(script: impl Fn(&mut Connection) + Clone + Send + 'static) -> Self {
        Self::start_as(0, script)
    }

    /// Runs `script` for every connection, as this user.
    #[must_use]
    pub fn start_as(uid: u32, script: impl Fn(&mut Connection) + Clone + Send + 'static) -> Self {
        let directory = Daemon::directory();
        let path = directory.path().join(NAME);
        let is_over = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let over = Arc::clone(&is_over);
        rustix::fs::chown(directory.path(), Some(Uid::from_raw(uid)), None).expect("we are root");
        thread::spawn(move || {
            // The uid of this thread and of the threads that it starts.
            let uid = Uid::from_raw(uid);
            set_thread_res_uid(uid, uid, uid).expect("we are root");
            let listener = UnixListener::bind(&path).expect("a new name");
            ready.send(()).expect("the test waits");
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let script = script.clone();
                thread::spawn(move || script(&mut Connection(BufReader::new(stream))));
            }
        });
        is_ready.recv().expect("the thread listens");
        Self { directory, is_over }
    }

    /// Path of its socket.
    #[must_use]
    pub fn socket(&self) -> String {
        let path = self.path();
        path.to_str().expect("text").to_owned()
    }

    fn path(&self) -> std::path::PathBuf {
        Path::join(self.directory.path(), NAME)
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Ends `accept`. It fails if the thread has ended.
        let _woken = UnixStream::connect(self.path());
    }
}

impl Connection {
    /// The next request; `None` at the end of the connection.
    pub fn next_request(&mut self) -> Option<Request> {
        let line = self.line()?;
        let line = line.trim_end_matches(" HTTP/1.1").to_owned();
        let mut length = 0;
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some(Request {
            line,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// Writes bytes. An error is ignored: the client may be gone.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _gone = self.0.get_mut().write_all(bytes.as_ref());
    }

    /// Writes a complete response.
    pub fn respond(&mut self, status: &str, media_type: &str, body: &str) {
        self.write(format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Responds to the first request as a daemon with this version of the API.
    pub fn send_info(&mut self, api: u32) {
        let _request = self.next_request();
        let info = json!({
            "version": "0", "api": api, "schema": 1, "backend": "bpf", "ready": true,
            "uptime_seconds": 1, "loss": null, "history": 1, "max_clients": 1,
            "kernel": {"release": "0", "btf": true, "exit_program": null},
        });
        self.respond("200 OK", "application/json", &info.to_string());
    }

    /// Writes the headers of a chunked response.
    pub fn begin_stream(&mut self) {
        self.write(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\
             transfer-encoding: chunked\r\n\r\n",
        );
    }

    /// Writes a chunk.
    pub fn send_chunk(&mut self, text: &str) {
        self.write(format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// Writes the last chunk.
    pub fn end_stream(&mut self) {
        self.write("0\r\n\r\n");
    }

    /// Responds up to the line `armed`, and returns the request.
    pub fn answer_armed(&mut self) -> Option<Request> {
        self.send_info(1);
        let request = self.next_request();
        self.begin_stream();
        self.send_chunk("{\"type\":\"armed\",\"live\":null}\n");
        request
    }

    /// Writes nothing until the client closes the connection. A client that only ends its own
    /// direction asks for the last messages, which do not come.
    pub fn stall(&mut self) {
        // An error ends the connection too.
        let _end = self.0.read_to_end(&mut Vec::new());
        let mut fds = [PollFd::new(self.0.get_ref(), PollFlags::empty())];
        // The kernel always reports a connection that is closed in both directions.
        let _closed = poll(&mut fds, None);
    }
}
