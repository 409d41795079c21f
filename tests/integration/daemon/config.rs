//! Configuration of the daemon by flags and by a file.

use std::fs;

use probe_tests::{Daemon, conditions, run, run_in, started_by, words};

use super::{Place, assert_refused, mode_and_group, text};

/// The command line of a daemon with a configuration file of this text at this place.
fn with_file(place: &Place, content: &str) -> String {
    let path = place.path("probe.toml");
    fs::write(&path, content).expect("the file is writable");
    format!("daemon --config {}", text(&path))
}

#[test]
#[ignore = "needs root"]
fn flags_override_the_configuration_file() {
    let place = Place::new();
    let socket = place.path("from-file.sock");
    let options = "mode = \"0666\"\ngroup = \"4242\"\nhistory = 10\n";
    let content = format!("socket = '{}'\n{options}", text(&socket));
    let line = with_file(&place, &content) + " --mode 0600";
    let daemon = Daemon::start_in(&mut conditions::unrestricted(&words(&line)), &socket);
    // The mode is that of the flag, the group that of the file.
    assert_eq!(mode_and_group(&socket), (0o600, 4242));
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn an_invalid_configuration_file_is_refused_with_its_line() {
    for (content, words) in [
        ("history = 1\nsockets = 2\n", &["probe.toml:2: ", "sockets"]),
        ("mode = 432\n", &["probe.toml:1: ", "string"]),
        ("\nmode = \"rw\"\n", &["probe.toml:2: ", "octal"]),
        ("history = 0\n", &["probe.toml:1: ", "1 to 16777216"]),
        ("max-clients = -1\n", &["probe.toml:1: ", "1 to 1048576"]),
        ("history = \n", &["probe.toml:1: ", ""]),
        ("socket = \"a.sock\"\n", &["absolute", "a.sock"]),
        ("user = \"nobody-here\"\n", &["no user", "nobody-here"]),
        ("group = \"nobody-here\"\n", &["no group", "nobody-here"]),
    ] {
        assert_refused(&run(&with_file(&Place::new(), content)), 2, words);
    }
    let absent = run("daemon --config /not/there.toml");
    assert_refused(&absent, 2, &["/not/there.toml", "No such file"]);
}

#[test]
#[ignore = "needs root"]
fn an_invalid_flag_is_refused() {
    for (flag, value) in [
        ("--mode", "0888"),
        ("--mode", "04777"),
        ("--mode", "0060"),
        ("--history", "0"),
        ("--history", "16777217"),
        ("--history", "-1"),
        ("--max-clients", "0"),
        ("--max-clients", "many"),
    ] {
        run(&format!("daemon {flag} {value}")).assert_ended(2, &[flag]);
    }
}

#[test]
#[ignore = "needs root"]
fn only_root_may_change_the_user() {
    let output = run_in(conditions::without_privilege, "daemon --user 0");
    assert_refused(&output, 2, &["only root"]);
}

#[test]
#[ignore = "needs root"]
fn max_clients_is_limited_by_the_file_descriptor_limit() {
    let limited = |args: &[&str]| started_by(&["prlimit", "--nofile=1000:1000"], args);
    let place = Place::new();
    let words = ["745", "1000", "LimitNOFILE", "744"];
    place.assert_refused_in(limited, "--max-clients 745", 2, &words);
    assert!(!place.socket.exists());
    let _output = place.serve_in(limited, "--max-clients 744").stop();
}
