//! `probe daemon`: start, privileges, answers and end.

mod api;
mod config;
mod endpoints;
mod group;
mod http;
mod invalid_requests;
mod kubernetes;
mod log;
mod losses;
mod names;
mod namespaces;
mod overload;
mod pods;
mod privileges;
mod process_table;
mod records;
mod socket;
mod systemd;
mod visibility;
mod waits;

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
};

use probe_tests::{
    Cgroup, Daemon, Output, as_user_in_group, conditions, http::Stream, run_in, words,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Asserts this exit code, these words and a hint on stderr, and an empty stdout.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    output.assert_refused(code, &[words, &["hint: "]].concat());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of the tests are UTF-8")
}

/// The status of `GET /healthz` for this user in this group; `None` if the socket refuses
/// the connection.
fn health_as(uid: u32, gid: u32, socket: &Path) -> Option<u16> {
    as_user_in_group(uid, gid, || {
        let connection = UnixStream::connect(socket);
        connection.ok()?;
        Some(probe_tests::http::send(socket, "GET", "/healthz", None).status)
    })
}

/// Pid of the process that listens on this socket.
fn peer(socket: &Path) -> u32 {
    let stream = UnixStream::connect(socket).expect("a daemon listens");
    let peer = rustix::net::sockopt::socket_peercred(&stream).expect("the kernel knows the peer");
    peer.pid.as_raw_nonzero().get().cast_unsigned()
}

/// A directory, and the path of a daemon's socket in it.
struct Place {
    directory: TempDir,
    socket: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = Daemon::directory();
        let socket = directory.path().join("probe.sock");
        Self { directory, socket }
    }

    /// Another path in the directory.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command line of a daemon at this socket with these options.
    fn line(&self, options: &str) -> String {
        format!("daemon --socket {} {options}", text(&self.socket))
    }

    /// Starts a daemon at this socket with these options, and returns when it is healthy.
    fn serve(&self, options: &str) -> Daemon {
        self.serve_in(conditions::unrestricted, options)
    }

    /// Starts a daemon like [`Place::serve`], under a condition.
    fn serve_in(&self, condition: impl Fn(&[&str]) -> Command, options: &str) -> Daemon {
        Daemon::start_in(&mut condition(&words(&self.line(options))), &self.socket)
    }

    /// Asserts that a daemon refuses to start with these options under a condition.
    fn assert_refused_in(
        &self,
        condition: impl Fn(&[&str]) -> Command,
        options: &str,
        code: i32,
        words: &[&str],
    ) {
        assert_refused(&run_in(condition, &self.line(options)), code, words);
    }

    /// The names in the directory.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.map(|it| it.to_string_lossy().into_owned()).collect()
    }
}

/// The permissions and the group of a file.
fn mode_and_group(path: &Path) -> (u32, u32) {
    let metadata = fs::metadata(path).expect("the file exists");
    (metadata.mode() & 0o7777, metadata.gid())
}

/// A child cgroup that its name makes a container, and the id of that container.
fn container(above: &Cgroup) -> (String, Cgroup) {
    let id = format!("{:064x}", above.id());
    let cgroup = above.sub(&format!("docker-{id}.scope"));
    (id, cgroup)
}

/// A target of a wait: a cgroup by its id.
fn by_id(cgroup: &Cgroup) -> Value {
    json!({"cgroup": {"hierarchy": 0, "id": cgroup.id()}})
}

/// Sends a wait, which the daemon arms and in which it counts this many processes.
fn armed(daemon: &Daemon, request: &Value, live: u32) -> Stream {
    let answer = daemon.post("/v1/wait", request);
    assert_eq!(answer.status, 200, "{request}");
    let lines = answer.stream();
    assert_eq!(
        lines.next(),
        json!({"type": "armed", "live": live}),
        "{request}"
    );
    lines
}
