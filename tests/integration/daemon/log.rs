//! A daemon whose log cannot be written.

use std::process::Command;

use probe_tests::{Daemon, conditions};

use super::text;

/// Serves after a shell has redirected the daemon's output.
fn serve(redirection: &str) {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    // With -vv the daemon logs a line for every client.
    let probe = conditions::unrestricted(&["-vv", "daemon", "--socket", text(&socket)]);
    let mut command = Command::new("sh");
    command.arg("-c");
    command.arg(format!("exec \"$0\" \"$@\" {redirection}"));
    command.arg(probe.get_program()).args(probe.get_args());
    let daemon = Daemon::start_in(&mut command, &socket);
    assert_eq!(daemon.get("/healthz").status, 200);
    let output = daemon.stop();
    assert_eq!(output.stderr, "", "no line of the log was written");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_serves_while_its_log_is_on_a_full_disk() {
    serve("2>/dev/full");
    serve(">/dev/full 2>&1");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_serves_with_stderr_closed() {
    serve("2>&-");
}
