//! The socket: its owner and mode, and what is at its path before and after.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::Command,
};

use probe_tests::{Daemon, Output, conditions, probe, requirements};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{assert_refused, health_as, peer, text};

/// The group of the socket.
const MEMBER: u32 = 4242;
/// A user, and the number of a group that the socket does not belong to.
const OUTSIDER: u32 = 4343;

fn serve(socket: &Path, args: &[&str]) -> Daemon {
    let args = [&["daemon", "--socket", text(socket)], args].concat();
    Daemon::start_in(&mut conditions::unrestricted(&args), socket)
}

fn refused(socket: &Path) -> Output {
    probe(&["daemon", "--socket", text(socket)])
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("the directory is readable");
    let names = entries.map(|entry| entry.expect("the directory is readable").file_name());
    names.map(|it| it.to_string_lossy().into_owned()).collect()
}

#[test]
#[ignore = "needs root"]
fn the_socket_has_its_permissions_and_is_removed_at_a_clean_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = Daemon::directory();
        let socket = directory.path().join("probe.sock");
        let daemon = serve(&socket, &["--mode", "0640", "--group", "4242"]);
        let metadata = fs::metadata(&socket).expect("the daemon listens");
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(metadata.gid(), 4242);
        daemon.signal(signal);
        let output = daemon.finish();
        assert_eq!((output.code, output.signal), (Some(0), None), "{output:#?}");
        assert_eq!(output.stdout, "", "{output:#?}");
        assert_eq!(names(&directory), [""; 0]);
    }
}

#[test]
#[ignore = "needs root"]
fn only_the_group_of_the_socket_may_connect() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let daemon = serve(&socket, &["--group", &MEMBER.to_string()]);
    let member = health_as(OUTSIDER, MEMBER, &socket);
    assert_eq!(member, Some(200));
    let outsider = health_as(OUTSIDER, OUTSIDER, &socket);
    assert_eq!(outsider, None);
    let lock = directory.path().join("probe.sock.lock");
    let mode = fs::metadata(lock).expect("the daemon serves").mode() & 0o7777;
    assert_eq!(
        mode, 0o600,
        "a user who can lock the file can keep the daemon from starting"
    );
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn mode_0666_lets_every_user_connect_and_logs_a_warning() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let daemon = serve(&socket, &["--mode", "0666"]);
    let health = health_as(OUTSIDER, OUTSIDER, &socket);
    assert_eq!(health, Some(200));
    let output = daemon.stop();
    assert!(output.stderr.contains("every user"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_socket_of_a_killed_daemon_is_replaced() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let killed = serve(&socket, &[]);
    killed.signal(Signal::KILL);
    assert_eq!(killed.finish().signal, Some(Signal::KILL.as_raw()));
    assert!(socket.exists(), "a killed daemon cannot remove its socket");
    let next = serve(&socket, &[]);
    let _output = next.stop();
    assert_eq!(names(&directory), [""; 0]);
}

#[test]
#[ignore = "needs root"]
fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let first = serve(&socket, &[]);
    let name = format!("probe[{}]", first.pid());
    assert_refused(&refused(&socket), 1, &["in use", &name]);
    assert_eq!(first.get("/healthz").status, 200);
    let _output = first.stop();
}

#[test]
#[ignore = "needs root"]
fn one_of_many_daemons_that_start_at_once_serves() {
    requirements::require_bpf();
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let args = ["daemon", "--socket", text(&socket)];
    let start = || Daemon::spawn(&mut conditions::unrestricted(&args), &socket);
    let all: Vec<_> = (0..8).map(|_| start()).collect();
    // All but the one that serves have given up or will.
    let (serving, others): (Vec<_>, Vec<_>) = {
        let stream = probe_tests::Deadline::start();
        stream.until("a daemon serves", || UnixStream::connect(&socket).is_ok());
        let pid = peer(&socket);
        all.into_iter().partition(|daemon| daemon.pid() == pid)
    };
    for other in others {
        assert_refused(&other.finish(), 1, &["in use"]);
    }
    let [serving] = <[Daemon; 1]>::try_from(serving).expect("exactly one daemon serves");
    serving.await_health();
    let _output = serving.stop();
    assert_eq!(names(&directory), [""; 0]);
}

#[test]
#[ignore = "needs root"]
fn the_socket_of_another_program_is_left_alone() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let listener = UnixListener::bind(&socket).expect("the address is free");
    let pid = std::process::id().to_string();
    assert_refused(&refused(&socket), 1, &["in use", &pid]);
    drop(listener);
    let daemon = serve(&socket, &[]);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_socket_that_replaced_the_daemons_own_is_not_removed() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let daemon = serve(&socket, &[]);
    fs::rename(&socket, directory.path().join("aside")).expect("the socket is moved");
    let _other = UnixListener::bind(&socket).expect("the address is free");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.finish().code, Some(0));
    UnixStream::connect(&socket).expect("the other program still listens");
}

#[test]
#[ignore = "needs root"]
fn a_file_that_is_not_a_socket_is_never_removed() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    fs::write(&socket, "precious").expect("the file is writable");
    assert_refused(&refused(&socket), 1, &["is not a socket", text(&socket)]);
    assert_eq!(
        fs::read(&socket).expect("the file still exists"),
        b"precious"
    );
    fs::remove_file(&socket).expect("the cgroup is removed");
    std::os::unix::fs::symlink("/run/elsewhere.sock", &socket).expect("the link is created");
    assert_refused(&refused(&socket), 1, &["is not a socket"]);
    assert_eq!(names(&directory), ["probe.sock"]);
}

#[test]
#[ignore = "needs root"]
fn an_unusable_socket_path_is_named_in_the_error() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let args = ["daemon", "--socket", text(&socket)];
    let output = probe_tests::probe_in(&mut conditions::with_two_capabilities(&args));
    let place = text(directory.path());
    assert_refused(&output, 1, &[place, "Permission denied", "--socket"]);
    let missing = refused(&directory.path().join("not/there/probe.sock"));
    assert_refused(&missing, 1, &["not/there", "No such file", "/run"]);
    let long = refused(&directory.path().join("x".repeat(108)));
    assert_refused(&long, 1, &["107 bytes"]);
    assert_eq!(names(&directory), [""; 0]);
}

#[test]
#[ignore = "needs root"]
fn a_missing_directory_below_run_is_created_with_mode_0755() {
    let place = tempfile::tempdir_in("/run").expect("root may create a directory");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.path(), open).expect("the test owns the file");
    let socket = place.path().join("made/probe.sock");
    let probe = conditions::unrestricted(&["daemon", "--socket", text(&socket)]);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "umask 077; exec \"$0\" \"$@\" --user 4242 --group 4242",
    ]);
    command.arg(probe.get_program()).args(probe.get_args());
    let daemon = Daemon::start_in(&mut command, &socket);
    let made = fs::metadata(place.path().join("made")).expect("the directory is created");
    assert_eq!(made.mode() & 0o7777, 0o755);
    let member = health_as(OUTSIDER, MEMBER, &socket);
    assert_eq!(member, Some(200));
    // The daemon is not root any more when it removes the socket.
    let _output = daemon.stop();
}
