//! The socket: its owner and mode, and what is at its path before and after.

use std::{
    fs,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use probe_tests::{Daemon, Deadline, conditions, requirements, run, started_by, words};
use rustix::process::Signal;

use super::{Place, assert_refused, health_as, mode_and_group, peer, text};

/// The group of the socket.
const MEMBER: u32 = 4242;
/// A user, and the number of a group that the socket does not belong to.
const OUTSIDER: u32 = 4343;

/// Asserts that a daemon refuses to start at this socket.
fn assert_unusable(socket: &Path, words: &[&str]) {
    let output = run(&format!("daemon --socket {}", text(socket)));
    assert_refused(&output, 1, words);
}

#[test]
#[ignore = "needs root"]
fn the_socket_has_its_permissions_and_is_removed_at_a_clean_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = Place::new();
        let daemon = place.serve("--mode 0640 --group 4242");
        assert_eq!(mode_and_group(&place.socket), (0o640, 4242));
        daemon.signal(signal);
        let output = daemon.finish();
        assert_eq!((output.code, output.signal), (Some(0), None), "{output:#?}");
        assert_eq!(output.stdout, "", "{output:#?}");
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
#[ignore = "needs root"]
fn only_the_group_of_the_socket_may_connect() {
    let place = Place::new();
    let daemon = place.serve(&format!("--group {MEMBER}"));
    let health = |group| health_as(OUTSIDER, group, &place.socket);
    assert_eq!([MEMBER, OUTSIDER].map(health), [Some(200), None]);
    // A lock on this file keeps a daemon from starting, so no other user may open it.
    let (mode, _) = mode_and_group(&place.path("probe.sock.lock"));
    assert_eq!(mode, 0o600);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn mode_0666_lets_every_user_connect_and_logs_a_warning() {
    let place = Place::new();
    let daemon = place.serve("--mode 0666");
    let health = health_as(OUTSIDER, OUTSIDER, &place.socket);
    assert_eq!(health, Some(200));
    daemon.stop().assert_ended(0, &["every user"]);
}

#[test]
#[ignore = "needs root"]
fn the_socket_of_a_killed_daemon_is_replaced() {
    let place = Place::new();
    let killed = place.serve("");
    killed.signal(Signal::KILL);
    assert_eq!(killed.finish().signal, Some(Signal::KILL.as_raw()));
    assert!(
        place.socket.exists(),
        "a killed daemon cannot remove its socket"
    );
    let next = place.serve("");
    let _output = next.stop();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
#[ignore = "needs root"]
fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let place = Place::new();
    let first = place.serve("");
    let name = format!("probe[{}]", first.pid());
    assert_unusable(&place.socket, &["in use", &name]);
    assert_eq!(first.get("/healthz").status, 200);
    let _output = first.stop();
}

#[test]
#[ignore = "needs root"]
fn one_of_many_daemons_that_start_at_once_serves() {
    requirements::require_bpf();
    let place = Place::new();
    let line = place.line("");
    let mut command = conditions::unrestricted(&words(&line));
    let all: Vec<_> = (0..8)
        .map(|_| Daemon::spawn(&mut command, &place.socket))
        .collect();
    let connects = || UnixStream::connect(&place.socket).is_ok();
    Deadline::start().until("a daemon serves", connects);
    // All other daemons give up.
    let pid = peer(&place.socket);
    let (serving, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.pid() == pid);
    for other in others {
        assert_refused(&other.finish(), 1, &["in use"]);
    }
    let [serving] = <[Daemon; 1]>::try_from(serving).expect("exactly one daemon serves");
    serving.await_health();
    let _output = serving.stop();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
#[ignore = "needs root"]
fn the_socket_of_another_program_is_left_alone() {
    let place = Place::new();
    let listener = UnixListener::bind(&place.socket).expect("the address is free");
    let pid = std::process::id().to_string();
    assert_unusable(&place.socket, &["in use", &pid]);
    drop(listener);
    let daemon = place.serve("");
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_socket_that_replaced_the_daemons_own_is_not_removed() {
    let place = Place::new();
    let daemon = place.serve("");
    fs::rename(&place.socket, place.path("aside")).expect("the socket is moved");
    let _other = UnixListener::bind(&place.socket).expect("the address is free");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.finish().code, Some(0));
    UnixStream::connect(&place.socket).expect("the other program still listens");
}

#[test]
#[ignore = "needs root"]
fn a_file_that_is_not_a_socket_is_never_removed() {
    let place = Place::new();
    fs::write(&place.socket, "precious").expect("the file is writable");
    assert_unusable(&place.socket, &["is not a socket", text(&place.socket)]);
    let content = fs::read(&place.socket).expect("the file still exists");
    assert_eq!(content, b"precious");
    fs::remove_file(&place.socket).expect("the file is removed");
    std::os::unix::fs::symlink("/run/elsewhere.sock", &place.socket).expect("the link is created");
    assert_unusable(&place.socket, &["is not a socket"]);
    assert_eq!(place.names(), ["probe.sock"]);
}

#[test]
#[ignore = "needs root"]
fn an_unusable_socket_path_is_named_in_the_error() {
    let place = Place::new();
    let words = [
        text(place.directory.path()),
        "Permission denied",
        "--socket",
    ];
    place.assert_refused_in(conditions::with_two_capabilities, "", 1, &words);
    let missing = place.path("not/there/probe.sock");
    assert_unusable(&missing, &["not/there", "No such file", "/run"]);
    assert_unusable(&place.path(&"x".repeat(108)), &["107 bytes"]);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
#[ignore = "needs root"]
fn a_missing_directory_below_run_is_created_with_mode_0755() {
    let run = tempfile::tempdir_in("/run").expect("root may create a directory");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(run.path(), open).expect("the test owns the file");
    let socket = run.path().join("made/probe.sock");
    let line = format!("daemon --socket {} --user 4242 --group 4242", text(&socket));
    let shell = ["sh", "-c", "umask 077; exec \"$0\" \"$@\""];
    let daemon = Daemon::start_in(&mut started_by(&shell, &words(&line)), &socket);
    assert_eq!(mode_and_group(&run.path().join("made")).0, 0o755);
    assert_eq!(health_as(OUTSIDER, MEMBER, &socket), Some(200));
    // The daemon is not root any more when it removes the socket.
    let _output = daemon.stop();
}
