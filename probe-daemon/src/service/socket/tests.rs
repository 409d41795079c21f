use std::os::unix::net::{UnixDatagram, UnixStream};

use super::*;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("p.sock")
    }

    fn bind(&self) -> Result<Listening, SocketError> {
        bind_at(&self.path(), 0o660)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("listed");
        let name = |it: io::Result<fs::DirEntry>| it.expect("listed").file_name();
        let mut names: Vec<_> = entries
            .map(|it| name(it).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn bind_at(path: &Path, mode: u32) -> Result<Listening, SocketError> {
    Listening::bind(SocketOptions {
        path,
        mode,
        group: None,
        account: None,
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o7777
}

#[test]
fn a_socket_has_the_configured_mode_and_is_removed_at_the_end() {
    let directory = Directory::new();
    for asked in [0o600, 0o660, 0o666, 0o777] {
        let listening = bind_at(&directory.path(), asked).expect("bound");
        assert_eq!(mode(&directory.path()), asked);
        let client = UnixStream::connect(directory.path()).expect("connected");
        let socket = listening.socket().expect("cloned");
        socket.accept().expect("a client connected");
        drop((client, listening));
        assert_eq!(directory.names(), [""; 0]);
    }
}

#[test]
fn no_client_can_connect_before_the_mode_is_set() {
    let directory = Directory::new();
    let _socket = closed_socket(&directory.path()).expect("bound");
    assert_eq!(mode(&directory.path()), 0);
}

#[test]
fn the_socket_of_a_dead_daemon_is_replaced() {
    let directory = Directory::new();
    drop(UnixListener::bind(directory.path()).expect("bound"));
    fs::write(directory.0.path().join("p.sock.lock"), "").expect("written");
    let _listening = directory.bind().expect("replaced");
    UnixStream::connect(directory.path()).expect("connected");
}

#[test]
fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let directory = Directory::new();
    let _first = directory.bind().expect("bound");
    let second = directory.bind().expect_err("in use");
    let SocketError::InUse { pid, .. } = second else {
        panic!("{second:?}");
    };
    assert_eq!(pid.map(i32::cast_unsigned), Some(std::process::id()));
    UnixStream::connect(directory.path()).expect("the first still serves");
}

#[test]
fn a_socket_with_a_listener_is_not_replaced() {
    let directory = Directory::new();
    let stream = UnixListener::bind(directory.path()).expect("bound");
    assert!(matches!(directory.bind(), Err(SocketError::InUse { .. })));
    drop(stream);
    fs::remove_file(directory.path()).expect("removed");
    let _datagrams = UnixDatagram::bind(directory.path()).expect("bound");
    assert!(matches!(directory.bind(), Err(SocketError::InUse { .. })));
}

#[test]
fn a_file_that_is_not_a_socket_is_never_removed() {
    let directory = Directory::new();
    fs::write(directory.path(), "precious").expect("written");
    assert!(matches!(directory.bind(), Err(SocketError::NotASocket(_))));
    assert_eq!(
        fs::read(directory.path()).expect("still there"),
        b"precious"
    );
    fs::remove_file(directory.path()).expect("removed");
    fs::create_dir(directory.path()).expect("made");
    assert!(matches!(directory.bind(), Err(SocketError::NotASocket(_))));
    fs::remove_dir(directory.path()).expect("removed");
    let elsewhere = directory.0.path().join("elsewhere");
    drop(UnixListener::bind(&elsewhere).expect("bound"));
    std::os::unix::fs::symlink(&elsewhere, directory.path()).expect("linked");
    assert!(matches!(directory.bind(), Err(SocketError::NotASocket(_))));
    assert_eq!(directory.names(), ["elsewhere", "p.sock"]);
}

#[test]
fn a_socket_that_replaced_the_daemons_socket_is_not_removed() {
    let directory = Directory::new();
    let listening = directory.bind().expect("bound");
    // The old socket still exists, so the new one has another inode number.
    fs::rename(directory.path(), directory.0.path().join("aside")).expect("moved");
    let _other = UnixListener::bind(directory.path()).expect("bound");
    drop(listening);
    assert_eq!(directory.names(), ["aside", "p.sock"]);
}

#[test]
fn a_missing_directory_is_named_in_the_error() {
    let directory = Directory::new();
    let path = directory.0.path().join("not/there/p.sock");
    let error = bind_at(&path, 0o660).expect_err("no directory");
    assert!(matches!(&error, SocketError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains("not/there"), "{error}");
    assert!(error.hint().contains("/run"), "{}", error.hint());
}

#[test]
fn a_path_that_is_too_long_has_a_hint() {
    let directory = Directory::new();
    let path = directory.0.path().join("x".repeat(108));
    let error = bind_at(&path, 0o660).expect_err("too long");
    assert!(error.hint().contains("107"), "{error:?}");
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn an_inherited_socket_must_listen() {
    let directory = Directory::new();
    let path = directory.path();
    let listening = Listening::passed(UnixListener::bind(&path).expect("bound"));
    assert_eq!(listening.expect("usable").directory(), None);
    assert!(path.exists(), "the supervisor removes it");
    let (one, _other) = UnixStream::pair().expect("a pair");
    let connected = Listening::passed(OwnedFd::from(one).into());
    assert!(matches!(connected, Err(SocketError::NotListening)));
}
