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

use std::{os::unix::net::UnixStream, path::Path};

use probe_tests::{Output, as_user_in_group};

/// Exit code 1 to 5 with these words and a hint, and nothing on stdout.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    output.assert_refused(code, &[words, &["hint: "]].concat());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test's own")
}

/// How `GET /healthz` is answered to this user in this group; `None` where the socket
/// refuses the connection.
fn health_as(uid: u32, gid: u32, socket: &Path) -> Option<u16> {
    as_user_in_group(uid, gid, || {
        let connection = UnixStream::connect(socket);
        connection.ok()?;
        Some(probe_tests::http::send(socket, "GET", "/healthz", None).status)
    })
}

/// Who listens there.
fn peer(socket: &Path) -> u32 {
    let stream = UnixStream::connect(socket).expect("somebody listens");
    let peer = rustix::net::sockopt::socket_peercred(&stream).expect("asked");
    peer.pid.as_raw_nonzero().get().cast_unsigned()
}
