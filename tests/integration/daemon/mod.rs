//! `probe daemon`: how it starts, what it may do then, and how it ends.

mod abuse;
mod api;
mod config;
mod contained;
mod elsewhere;
mod endpoints;
mod group;
mod http;
mod log;
mod overload;
mod privileges;
mod records;
mod socket;
mod systemd;
mod table;
mod visibility;
mod waits;

use std::{
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Output as Finished},
};

use probe_tests::Output;

/// Exit code 1 to 5 with these words and a hint, and nothing on stdout.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    output.assert_refused(code, &[words, &["hint: "]].concat());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test's own")
}

/// `GET /healthz` by curl, as this user and in these groups.
fn curl_as(uid: u32, groups: &str, socket: &Path) -> Finished {
    Command::new("setpriv")
        .args(["--reuid", &uid.to_string(), "--regid", &uid.to_string()])
        .args(["--groups", groups])
        .args(["curl", "--silent", "--show-error", "--fail"])
        .arg("--unix-socket")
        .arg(socket)
        .arg("http://probe/healthz")
        .output()
        .expect("setpriv and curl are installed")
}

/// Who listens there.
fn peer(socket: &Path) -> u32 {
    let stream = UnixStream::connect(socket).expect("somebody listens");
    let peer = rustix::net::sockopt::socket_peercred(&stream).expect("asked");
    peer.pid.as_raw_nonzero().get().cast_unsigned()
}
