//! A daemon that cannot write its log.

use probe_tests::started_by;

use super::Place;

/// Serves after a shell has redirected the daemon's output.
fn serve(redirection: &str) {
    // With -vv the daemon logs a line for every client.
    let script = format!("exec \"$0\" -vv \"$@\" {redirection}");
    let redirected = |args: &[&str]| started_by(&["sh", "-c", &script], args);
    let place = Place::new();
    let daemon = place.serve_in(redirected, "");
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
