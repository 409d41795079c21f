//! Sockets without a listener or without permission, and the choice of the socket.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use probe_tests::{
    Cgroup, Daemon, FakeDaemon, Victim, Waiting, conditions, probe_in, run, run_in, words,
};

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
    let (cgroup, _victim) = Victim::in_v2("absent");
    let directory = Daemon::directory();
    let stale = directory.path().join("stale");
    drop(UnixListener::bind(&stale).expect("a new name"));
    let stale = stale.to_str().expect("UTF-8");
    for socket in ["/no/such/socket", stale, "/dev/null/x"] {
        for verb in ["wait", "kill"] {
            let target = format!("--socket {socket} --cgroup {}", cgroup.path());
            let output = run(&format!("{verb} --backend daemon {target}"));
            output.assert_ended(5, &["probe daemon"]);
        }
    }
    assert_eq!(cgroup.procs().len(), 1, "no process was killed");
}

#[test]
#[ignore = "needs root"]
fn a_client_without_access_to_the_socket_waits_without_the_daemon() {
    let (cgroup, mut victim) = Victim::in_v2("closed");
    let (fake, was_asked) = witness();
    let socket = fake.socket();
    fs::set_permissions(&socket, Permissions::from_mode(0o660)).expect("the test owns the file");
    let target = format!("--socket {socket} --cgroup {}", cgroup.path());

    let required = format!("wait --backend daemon {target}");
    let output = run_in(conditions::without_privilege, &required);
    output.assert_ended(5, &["group of the socket"]);

    let waiting = Waiting::armed_under(conditions::without_privilege, &target);
    victim.kill();
    let output = waiting.finish();
    assert_eq!(backends(&output.verdict("done")), ["pidfd"], "{output:#?}");
    assert!(!was_asked.load(Ordering::Relaxed));
}

#[test]
#[ignore = "needs root"]
fn the_socket_option_overrides_the_environment_variable() {
    let (cgroup, _victim) = Victim::in_v2("named");
    let fake = FakeDaemon::start(|connection| {
        let _asked = connection.answer_armed();
        connection.stall();
    });
    let line = format!(
        "wait --json --backend daemon -t 0.1 --cgroup {}",
        cgroup.path()
    );
    let wait = |more: &str| {
        let line = format!("{line} {more}");
        let mut command = conditions::unrestricted(&words(&line));
        probe_in(command.env("PROBE_SOCKET", fake.socket()))
    };
    assert_eq!(wait("").code, Some(3));
    assert_eq!(wait("--socket /no/such/socket").code, Some(5));
}

#[test]
#[ignore = "needs root"]
fn no_daemon_is_asked_about_a_target_that_is_already_done() {
    let cgroup = Cgroup::v2("over");
    let (fake, was_asked) = witness();
    let target = format!("--socket {} --cgroup {}", fake.socket(), cgroup.path());
    for verb in ["wait", "kill"] {
        run(&format!("{verb} --json {target}")).verdict("already");
    }
    assert!(!was_asked.load(Ordering::Relaxed));
}
