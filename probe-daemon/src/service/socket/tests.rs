use std::os::unix::net::{UnixDatagram, UnixStream};

use super::*;

struct Ground(tempfile::TempDir);

impl Ground {
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
    Listening::bind(Place {
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
fn a_socket_has_the_mode_asked_for_and_is_gone_at_the_end() {
    let ground = Ground::new();
    for asked in [0o600, 0o660, 0o666, 0o777] {
        let listening = bind_at(&ground.path(), asked).expect("bound");
        assert_eq!(mode(&ground.path()), asked);
        let client = UnixStream::connect(ground.path()).expect("connected");
        let socket = listening.socket().expect("cloned");
        socket.accept().expect("somebody connected");
        drop((client, listening));
        assert_eq!(ground.names(), [""; 0]);
    }
}

#[test]
fn nobody_gets_in_before_the_mode_is_set() {
    let ground = Ground::new();
    let _socket = closed_socket(&ground.path()).expect("bound");
    assert_eq!(mode(&ground.path()), 0);
}

#[test]
fn what_a_dead_daemon_left_is_replaced() {
    let ground = Ground::new();
    drop(UnixListener::bind(ground.path()).expect("bound"));
    fs::write(ground.0.path().join("p.sock.lock"), "").expect("written");
    let _listening = ground.bind().expect("replaced");
    UnixStream::connect(ground.path()).expect("connected");
}

#[test]
fn a_second_one_is_told_who_the_first_is() {
    let ground = Ground::new();
    let _first = ground.bind().expect("bound");
    let second = ground.bind().expect_err("in use");
    let SocketError::InUse { pid, .. } = second else {
        panic!("{second:?}");
    };
    assert_eq!(pid.map(i32::cast_unsigned), Some(std::process::id()));
    UnixStream::connect(ground.path()).expect("the first still serves");
}

#[test]
fn a_socket_that_others_serve_is_left_alone() {
    let ground = Ground::new();
    let stream = UnixListener::bind(ground.path()).expect("bound");
    assert!(matches!(ground.bind(), Err(SocketError::InUse { .. })));
    drop(stream);
    fs::remove_file(ground.path()).expect("removed");
    let _datagrams = UnixDatagram::bind(ground.path()).expect("bound");
    assert!(matches!(ground.bind(), Err(SocketError::InUse { .. })));
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let ground = Ground::new();
    fs::write(ground.path(), "precious").expect("written");
    assert!(matches!(ground.bind(), Err(SocketError::NotASocket(_))));
    assert_eq!(fs::read(ground.path()).expect("still there"), b"precious");
    fs::remove_file(ground.path()).expect("removed");
    fs::create_dir(ground.path()).expect("made");
    assert!(matches!(ground.bind(), Err(SocketError::NotASocket(_))));
    fs::remove_dir(ground.path()).expect("removed");
    let elsewhere = ground.0.path().join("elsewhere");
    drop(UnixListener::bind(&elsewhere).expect("bound"));
    std::os::unix::fs::symlink(&elsewhere, ground.path()).expect("linked");
    assert!(matches!(ground.bind(), Err(SocketError::NotASocket(_))));
    assert_eq!(ground.names(), ["elsewhere", "p.sock"]);
}

#[test]
fn a_socket_that_took_its_place_stays() {
    let ground = Ground::new();
    let listening = ground.bind().expect("bound");
    // Kept, so that the next socket has another inode for sure.
    fs::rename(ground.path(), ground.0.path().join("aside")).expect("moved");
    let _other = UnixListener::bind(ground.path()).expect("bound");
    drop(listening);
    assert_eq!(ground.names(), ["aside", "p.sock"]);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let ground = Ground::new();
    let path = ground.0.path().join("not/there/p.sock");
    let error = bind_at(&path, 0o660).expect_err("no directory");
    assert!(matches!(&error, SocketError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains("not/there"), "{error}");
    assert!(error.hint().contains("/run"), "{}", error.hint());
}

#[test]
fn a_path_that_is_too_long_says_so() {
    let ground = Ground::new();
    let path = ground.0.path().join("x".repeat(108));
    let error = bind_at(&path, 0o660).expect_err("too long");
    assert!(error.hint().contains("107"), "{error:?}");
    assert_eq!(ground.names(), [""; 0]);
}

#[test]
fn a_socket_that_is_handed_over_must_listen() {
    let ground = Ground::new();
    let path = ground.path();
    let listening = Listening::passed(UnixListener::bind(&path).expect("bound"));
    assert_eq!(listening.expect("usable").directory(), None);
    assert!(path.exists(), "it is the supervisor's to remove");
    let (one, _other) = UnixStream::pair().expect("a pair");
    let connected = Listening::passed(OwnedFd::from(one).into());
    assert!(matches!(connected, Err(SocketError::NotListening)));
}
