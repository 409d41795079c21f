//! Sockets that nobody may use, and nobody listens on.

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

/// Tells whether somebody has connected.
fn witness() -> (FakeDaemon, Arc<AtomicBool>) {
    let is_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_asked);
    let impostor = FakeDaemon::start(move |_| asked.store(true, Ordering::Relaxed));
    (impostor, is_asked)
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_is_not_there_is_exit_5_where_it_is_demanded() {
    let cgroup = Cgroup::v2("absent");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let directory = Daemon::directory();
    let stale = directory.path().join("stale");
    drop(UnixListener::bind(&stale).expect("a new name"));
    let stale = stale.to_str().expect("text");
    for socket in ["/no/such/socket", stale, "/dev/null/x"] {
        for verb in ["wait", "kill"] {
            let args = [verb, "--backend", "daemon", "--socket", socket];
            let output = probe(&[&args[..], &["--cgroup", cgroup.path()]].concat());
            assert_eq!(output.code, Some(5), "{output:#?}");
            assert!(output.stderr.contains("probe daemon"), "{output:#?}");
        }
    }
    assert_eq!(cgroup.procs().len(), 1, "nobody was killed");
}

#[test]
#[ignore = "needs root"]
fn who_may_not_use_the_socket_waits_without_and_learns_nothing() {
    let cgroup = Cgroup::v2("closed");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let (impostor, is_asked) = witness();
    let socket = impostor.socket();
    fs::set_permissions(&socket, Permissions::from_mode(0o660)).expect("it is ours");
    let args = ["--socket", &socket, "--cgroup", cgroup.path()];

    let demanding = [&["wait", "--backend", "daemon"], &args[..]].concat();
    let output = probe_in(&mut conditions::without_privilege(&demanding));
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(output.stderr.contains("group of the socket"), "{output:#?}");

    let mut command = conditions::without_privilege(&Waiting::args(&args));
    let waiting = Waiting::armed_in(&mut command);
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    assert_eq!(backends(&output.verdict("done")), ["pidfd"], "{output:#?}");
    assert!(!is_asked.load(Ordering::Relaxed));
}

#[test]
#[ignore = "needs root"]
fn the_environment_names_the_socket_and_the_option_wins() {
    let cgroup = Cgroup::v2("named");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    let impostor = FakeDaemon::start(|caller| {
        let _asked = caller.answer_armed();
        caller.stall();
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
        probe_in(command.env("PROBE_SOCKET", impostor.socket()))
    };
    assert_eq!(wait(&[]).code, Some(3));
    assert_eq!(wait(&["--socket", "/no/such/socket"]).code, Some(5));
}

#[test]
#[ignore = "needs root"]
fn nobody_is_asked_where_all_is_over_already() {
    let cgroup = Cgroup::v2("over");
    let (impostor, is_asked) = witness();
    let socket = impostor.socket();
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
    assert!(!is_asked.load(Ordering::Relaxed));
}
