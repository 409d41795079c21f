//! Its log, where nobody can write one.

use std::process::Command;

use probe_tests::{Daemon, conditions};

use super::text;

/// With `redirection` done by a shell before.
fn serve(redirection: &str) {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    // Every client is worth a line to it then.
    let probe = conditions::unrestricted(&["-vv", "daemon", "--socket", text(&socket)]);
    let mut command = Command::new("sh");
    command.arg("-c");
    command.arg(format!("exec \"$0\" \"$@\" {redirection}"));
    command.arg(probe.get_program()).args(probe.get_args());
    let daemon = Daemon::start_in(&mut command, &socket);
    assert_eq!(daemon.get("/healthz").status, 200);
    let output = daemon.stop();
    assert_eq!(output.stderr, "", "nobody heard it");
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_takes_the_log_and_nothing_else() {
    serve("2>/dev/full");
    serve(">/dev/full 2>&1");
}

#[test]
#[ignore = "needs root"]
fn a_closed_stderr_takes_the_log_and_nothing_else() {
    serve("2>&-");
}
