//! The log of a daemon, also of one that cannot write it.

use probe_tests::{Daemon, started_by};
use serde_json::Value;

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

#[test]
#[ignore = "needs root"]
fn the_first_line_of_the_log_says_where_the_daemon_listens_and_as_which_user() {
    let daemon = Daemon::start(&["--user", "4242"]);
    let stderr = daemon.stop_keeping_socket().stderr;
    let first = stderr.lines().next().unwrap_or_default();
    assert!(first.contains("listening on /"), "{stderr}");
    assert!(first.contains(".sock as user 4242 (uid 4242)"), "{stderr}");
    assert!(stderr.contains("all privileges are dropped"), "{stderr}");
    assert!(!stderr.contains("CapabilitySet"), "{stderr}");
}

#[test]
#[ignore = "needs root"]
fn a_log_in_json_has_an_object_on_each_line() {
    let daemon = Daemon::start(&["--user", "4242", "--log-format", "json"]);
    let stderr = daemon.stop_keeping_socket().stderr;
    let parse = |line| serde_json::from_str(line).expect("JSON");
    let lines: Vec<Value> = stderr.lines().map(parse).collect();
    let message = lines[0]["fields"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("listening on /"), "{stderr}");
    assert_eq!(lines[0]["level"], "INFO", "{stderr}");
    assert!(
        lines.iter().all(|it| it["timestamp"].is_string()),
        "{stderr}"
    );
}
