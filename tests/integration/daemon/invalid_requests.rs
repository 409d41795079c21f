//! Invalid and malicious requests.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use probe_tests::{Cgroup, Daemon, Document, http, words};
use serde_json::{Value, json};

use super::by_id;

/// A `POST /v1/wait` with this body.
pub(super) fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/wait HTTP/1.1\r\nhost: probe\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n",
        body.len()
    );
    [head.as_bytes(), b"connection: close\r\n\r\n", body].concat()
}

pub(super) fn get(target: &str) -> Vec<u8> {
    let head = format!("GET {target} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n");
    head.into_bytes()
}

/// Sends these bytes on a connection of its own.
pub(super) fn begin(socket: &Path, bytes: &[u8]) -> UnixStream {
    let mut stream = http::connect(socket).expect("the daemon listens");
    stream.write_all(bytes).expect("the daemon reads");
    stream
}

/// The JSON lines of an answer, without the headers and the chunk sizes.
pub(super) fn json_lines(answer: &str) -> Vec<Value> {
    let lines = answer.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// Reads until the other end closes, and returns the bytes as text.
pub(super) fn rest(mut stream: UnixStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // The daemon closed before it had read everything.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&answer)),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends these bytes and returns the answer.
pub(super) fn raw(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = http::connect(socket).expect("the daemon listens");
    // The daemon may close before it has read everything.
    let _closed = stream.write_all(bytes);
    rest(stream)
}

/// Status of an answer; 0 if the daemon closed without one.
pub(super) fn status(answer: &str) -> u16 {
    let status = answer.get(9..12).and_then(|it| it.parse().ok());
    status.unwrap_or_default()
}

/// Asserts that an answer is a problem as RFC 9457 defines it.
pub(super) fn assert_problem(answer: &str, of: u16, what: &str) {
    assert_eq!(status(answer), of, "{what}: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(
        head.contains("application/problem+json"),
        "{what}: {answer}"
    );
    assert!(body.ends_with('\n'), "{what}: {answer}");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|it| panic!("{it}: {answer}"));
    assert_eq!(problem["status"], of, "{what}: {answer}");
    for member in ["type", "title", "detail"] {
        let text = problem[member].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{what}: {answer}");
    }
}

#[test]
#[ignore = "needs root"]
fn an_invalid_body_is_answered_with_a_problem() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("bodies");
    let target = by_id(&cgroup);
    let with = |field: &str, value: Value| json!({"targets": [target], field: value});
    let of = |target: Value| json!({"targets": [target]});
    let path = |path: &str| of(json!({"path": path}));
    let process = |start: u64| of(json!({"process": {"pid": 1, "start_ticks": start}}));
    let inside = |rest: &str| path(&format!("{}{rest}", cgroup.path()));
    let many = |count| json!({"targets": vec![json!({"pid": 1}); count]});
    let cases = [
        (400, json!(null)),
        (
            400,
            of(json!({"pid": 1, "path": cgroup.path(), "until": "empty"})),
        ),
        (400, json!([])),
        (400, json!({})),
        (400, json!({"targets": []})),
        (400, json!({"targets": {}})),
        (400, many(1025)),
        (400, many(10_000)),
        (413, many(100_000)),
        (400, with("timeout_ms", json!(-1))),
        (400, with("timeout_ms", json!(1.5))),
        (400, with("timeout_ms", json!("5s"))),
        (400, with("timeout_ms", json!(31_536_000_001_u64))),
        (400, with("timeout_ms", json!(u64::MAX))),
        (400, with("timeout_ms", json!(1e30))),
        (400, with("count", json!(0))),
        (400, with("count", json!(2))),
        (400, with("count", json!(-1))),
        (400, with("until", json!("dead"))),
        (400, with("untill", json!("empty"))),
        (400, of(json!({}))),
        (400, of(json!({"pid": 1, "path": "/sys/fs/cgroup"}))),
        (400, of(json!({"pid": 0}))),
        (400, of(json!({"pid": -1}))),
        (400, of(json!({"pid": 4_294_967_296_u64}))),
        (400, of(json!({"pid": 1, "until": "empty"}))),
        (400, of(json!({"pid": 1, "signal": 9}))),
        (400, of(json!({"process": {"pid": 1}}))),
        (400, of(json!({"cgroup": {"hierarchy": 0, "id": -1}}))),
        (404, of(json!({"cgroup": {"hierarchy": 0, "id": u64::MAX}}))),
        (404, of(json!({"cgroup": {"hierarchy": 99, "id": 1}}))),
        (404, of(json!({"pid": 4_194_305}))),
        (404, process(u64::MAX)),
        (404, of(json!({"container": "no-such"}))),
        (404, of(json!({"container": "\0\n"}))),
        (400, path("")),
        (400, path("relative")),
        (400, path("/etc")),
        (400, path("/proc/self/cwd")),
        (400, inside("/../..")),
        (400, inside("/..")),
        (400, inside("\0")),
        (400, inside("\0/etc")),
        (400, inside("\n")),
        (400, inside("\u{7f}")),
        (404, inside("/none")),
        (404, inside("/cgroup.procs")),
        (404, inside(&"/x".repeat(5000))),
    ];
    for (expected, body) in cases {
        let text = body.to_string();
        let what = text.get(..text.len().min(300)).unwrap_or_default();
        let answer = raw(daemon.socket(), &post(text.as_bytes()));
        assert_problem(&answer, expected, what);
    }
    for body in [
        &b""[..],
        b"{",
        b"{\"targets\":[{\"pid\":1}",
        b"{\"targets\":[{\"pid\":1}]} x",
        b"\xff\xfe",
        b"\0",
        &b"[".repeat(100_000),
        &b"{\"targets\":".repeat(10_000),
        b"{\"targets\":[{\"pid\":1}],\"targets\":[{\"pid\":1}]}",
    ] {
        let what = String::from_utf8_lossy(&body[..body.len().min(100)]);
        assert_problem(&raw(daemon.socket(), &post(body)), 400, &what);
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_path_through_a_symlink_is_refused() {
    let daemon = Daemon::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let cgroup = Cgroup::v2("link");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(cgroup.path(), &link).expect("the test owns the directory");
    let body = json!({"targets": [{"path": link}]}).to_string();
    let answer = raw(daemon.socket(), &post(body.as_bytes()));
    assert_problem(&answer, 400, "a link from outside the mount");
}

#[test]
#[ignore = "needs root"]
fn an_invalid_query_route_or_method_is_answered_with_a_problem() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let cases = [
        (400, "/v1/exits?limit=0"),
        (400, "/v1/exits?limit=-1"),
        (400, "/v1/exits?limit=99999999999"),
        (400, "/v1/exits?limit=1&limit=2"),
        (400, "/v1/exits?since=soon"),
        (400, "/v1/exits?since=2026-13-01"),
        (400, "/v1/exits?until=soon"),
        (400, "/v1/exits?since=1h&until=2h"),
        (400, "/v1/exits?uid=root"),
        (400, "/v1/exits?uid=1,,2"),
        (400, "/v1/exits?comm=%5Ba"),
        (400, "/v1/exits?min_age=old"),
        (400, "/v1/events?max_age=-1"),
        (400, "/v1/exits?since="),
        (400, "/v1/exits?since=%00"),
        (400, "/v1/exits?pid=0"),
        (400, "/v1/exits?pid=x"),
        (400, "/v1/exits?pid=1,0"),
        (400, "/v1/exits?failed=maybe"),
        (400, "/v1/exits?unknown=1"),
        (400, "/v1/exits?cgroup=/etc"),
        (400, "/v1/exits?cgroup=../x"),
        (400, "/v1/exits?cgroup=/sys/fs/cgroup/..%2f..%2fetc"),
        (400, "/v1/exits?cgroup=/sys/fs/cgroup/%00"),
        (400, "/v1/exits?cgroup=/sys/fs/cgroup/%0a"),
        (400, "/v1/exits?cgroup=%ff"),
        (404, "/v1/exits?container=none"),
        (404, "/v1/exits?container=%00"),
        (404, "/v1/exits?container="),
        (400, "/v1/events?limit=1"),
        (400, "/v1/events?pid=0"),
        (404, "/v1/events?container=none"),
        (404, "/v1/containers/none"),
        (404, "/v1/containers/%00"),
        (404, "/v1/containers/..%2f..%2fetc%2fpasswd"),
        (400, "/v1/containers/%ff"),
    ];
    for (expected, target) in cases {
        assert_problem(&raw(daemon.socket(), &get(target)), expected, target);
        let path = target.split('?').next().expect("a path");
        let path = match path.strip_prefix("/v1/containers/") {
            Some(_) => "/v1/containers/{id}",
            None => path,
        };
        let _documented = document.checked("get", path, daemon.get(target));
    }
    for target in words("/ /v1 /v1/ /v1/containers/ /v1/exits/ /etc/passwd *") {
        assert_problem(&raw(daemon.socket(), &get(target)), 404, target);
    }
    for (method, target, allowed) in [
        ("POST", "/v1/info", "GET,HEAD"),
        ("DELETE", "/v1/containers/x", "GET,HEAD"),
        ("GET", "/v1/wait", "POST"),
        ("BREW", "/v1/wait", "POST"),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(daemon.socket(), request.as_bytes());
        assert_problem(&answer, 405, target);
        let header = format!("allow: {}", allowed.to_lowercase());
        assert!(answer.to_lowercase().contains(&header), "{answer}");
    }
    for media_type in ["", "content-type: text/plain\r\n", "content-type: \x01\r\n"] {
        let request = format!(
            "POST /v1/wait HTTP/1.1\r\nhost: x\r\n{media_type}content-length: 2\r\n\
             connection: close\r\n\r\n{{}}"
        );
        let answer = raw(daemon.socket(), request.as_bytes());
        assert!(
            [400, 415].contains(&status(&answer)),
            "{media_type}: {answer}"
        );
    }
    let _output = daemon.stop();
}
