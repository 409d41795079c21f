//! Configuration of the daemon by flags and by a file.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf, process::Command};

use probe_tests::{Daemon, Output, conditions, probe, probe_in};
use tempfile::TempDir;

use super::{assert_refused, text};

/// A configuration file with this text.
fn file(content: &str) -> (TempDir, PathBuf) {
    let directory = Daemon::directory();
    let path = directory.path().join("probe.toml");
    fs::write(&path, content).expect("the file is writable");
    (directory, path)
}

fn with_file(content: &str) -> Output {
    let (_directory, path) = file(content);
    probe(&["daemon", "--config", text(&path)])
}

#[test]
#[ignore = "needs root"]
fn flags_override_the_configuration_file() {
    let directory = Daemon::directory();
    let socket = directory.path().join("from-file.sock");
    let (_directory, path) = file(&format!(
        "socket = '{}'\nmode = \"0666\"\ngroup = \"4242\"\nhistory = 10\n",
        text(&socket)
    ));
    let args = ["daemon", "--config", text(&path), "--mode", "0600"];
    let daemon = Daemon::start_in(&mut conditions::unrestricted(&args), &socket);
    let metadata = fs::metadata(&socket).expect("the socket is where the file says");
    assert_eq!(metadata.mode() & 0o7777, 0o600, "as the flag says");
    assert_eq!(metadata.gid(), 4242, "as the file says");
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
        assert_refused(&with_file(content), 2, words);
    }
    let absent = probe(&["daemon", "--config", "/not/there.toml"]);
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
        let output = probe(&["daemon", flag, value]);
        assert_eq!(output.code, Some(2), "{output:#?}");
        assert!(output.stderr.contains(flag), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn only_root_may_change_the_user() {
    let args = ["daemon", "--user", "0"];
    let output = probe_in(&mut conditions::without_privilege(&args));
    assert_refused(&output, 2, &["only root"]);
}

#[test]
#[ignore = "needs root"]
fn max_clients_is_limited_by_the_file_descriptor_limit() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let limited = |clients: &str| {
        let mut command = Command::new("prlimit");
        let probe = conditions::unrestricted(&["daemon", "--socket", text(&socket)]);
        command.arg("--nofile=1000:1000").arg(probe.get_program());
        command
            .args(probe.get_args())
            .args(["--max-clients", clients]);
        command
    };
    let output = probe_in(&mut limited("745"));
    assert_refused(&output, 2, &["745", "1000", "LimitNOFILE", "744"]);
    assert!(!socket.exists());
    let daemon = Daemon::start_in(&mut limited("744"), &socket);
    let _output = daemon.stop();
}
