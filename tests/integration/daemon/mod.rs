//! `probe daemon`: start, privileges, answers and end.

mod api;
mod config;
mod endpoints;
mod group;
mod http;
mod invalid_requests;
mod kubernetes;
mod log;
mod namespaces;
mod overload;
mod privileges;
mod process_table;
mod records;
mod socket;
mod systemd;
mod visibility;
mod waits;

use std::{os::unix::net::UnixStream, path::Path};

use probe_tests::{Output, as_user_in_group};

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
