//! Sockets without a listener or without permission, and the choice of the socket.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use probe_tests::{Cgroup, Daemon, FakeDaemon, Victim, Waiting, conditions, probe, probe_in};
use rustix::process::Signal;

use super::backends;

/// A fake daemon, and whether a client has connected to it.
fn witness() -> (FakeDaemon, Arc<AtomicBool>) {
    let was_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&was_asked);
    let fake = FakeDaemon::start(move |_| asked.store(true, Ordering::Relaxed));
    (fake, was_asked)
}

#[test]
#[ignore = "needs root"]
fn a_required_daemon_that_is_absent_is_exit_code_5() {
    let cgroup = Cgroup::v2("absent");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let directory = Daemon::directory();
    let stale = directory.path().join("stale");
    drop(UnixListener::bind(&stale).expect("a new name"));
    let stale = stale.to_str().expect("UTF-8");
    for socket in ["/no/such/socket", stale, "/dev/null/x"] {
        for verb in ["wait", "kill"] {
            let args = [verb, "--backend", "daemon", "--socket", socket];
            let output = probe(&[&args[..], &["--cgroup", cgroup.path()]].concat());
            assert_eq!(output.code, Some(5), "{output:#?}");
            assert!(output.stderr.contains("probe daemon"), "{output:#?}");
        }
    }
    assert_eq!(cgroup.procs().len(), 1, "no process was killed");
}

#[test]
#[ignore = "needs root"]
fn a_client_without_access_to_the_socket_waits_without_the_daemon() {
    let cgroup = Cgroup::v2("closed");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let (fake, was_asked) = witness();
    let socket = fake.socket();
    fs::set_permissions(&socket, Permissions::from_mode(0o660)).expect("the test owns the file");
    let args = ["--socket", &socket, "--cgroup", cgroup.path()];

    let required = [&["wait", "--backend", "daemon"], &args[..]].concat();
    let output = probe_in(&mut conditions::without_privilege(&required));
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(output.stderr.contains("group of the socket"), "{output:#?}");

    let mut command = conditions::without_privilege(&Waiting::args(&args));
    let waiting = Waiting::armed_in(&mut command);
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    assert_eq!(backends(&output.verdict("done")), ["pidfd"], "{output:#?}");
    assert!(!was_asked.load(Ordering::Relaxed));
}

#[test]
#[ignore = "needs root"]
fn the_option_overrides_the_socket_of_the_environment() {
    let cgroup = Cgroup::v2("named");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let fake = FakeDaemon::start(|connection| {
        let _asked = connection.answer_armed();
        connection.stall();
    });
    let wait = |more: &[&str]| {
        let args = [
            "wait",
            "--json",
            "--backend",
            "daemon",
            "-t",
            "0.1",
            "--cgroup",
            cgroup.path(),
        ];
        let mut command = conditions::unrestricted(&[&args, more].concat());
        probe_in(command.env("PROBE_SOCKET", fake.socket()))
    };
    assert_eq!(wait(&[]).code, Some(3));
    assert_eq!(wait(&["--socket", "/no/such/socket"]).code, Some(5));
}

#[test]
#[ignore = "needs root"]
fn no_daemon_is_asked_about_a_target_that_is_already_done() {
    let cgroup = Cgroup::v2("over");
    let (fake, was_asked) = witness();
    let socket = fake.socket();
    for verb in ["wait", "kill"] {
        let args = [
            verb,
            "--json",
            "--socket",
            &socket,
            "--cgroup",
            cgroup.path(),
        ];
        let output = probe(&args);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(output.json()[0]["outcome"], "already", "{output:#?}");
    }
    assert!(!was_asked.load(Ordering::Relaxed));
}
