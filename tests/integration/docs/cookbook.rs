//! The recipes of `docs/cookbook.md`, run as they stand there.
//!
//! Where bats is not installed, bash runs its tests: a test becomes a function, and `run` is
//! defined as bats defines it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use probe_tests::{Output, binaries, probe_in, requirements};
use tempfile::TempDir;

use super::blocks::{Block, blocks};

const COOKBOOK: &str = include_str!("../../../docs/cookbook.md");

/// Starts a daemon, and ends once that is the program `sleep`.
const DAEMON: &str = "setsid sleep 97531 > /dev/null 2>&1 &
until grep -q sleep /proc/$!/comm; do :; done";

/// The programs that the recipes run.
const PROGRAMS: [(&str, &str); 5] = [
    ("integration.sh", DAEMON),
    ("build.sh", "exit 0"),
    ("server", "touch answering; exec sleep 97531"),
    ("client", "test -e answering && echo pong"),
    (
        "leaves-a-daemon.sh",
        "setsid sleep 97531 > /dev/null 2>&1 &",
    ),
];

/// Turns a file of bats into a script for bash.
const BATS: &str = r#"
run() { status=0; output=$("$@" 2>&1) || status=$?; }
source <(sed -E 's/^@test .* \{$/test_of_bats() {/; s/^\}$/}; test_of_bats/' "$1")
"#;

fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for (name, script) in PROGRAMS {
        let path = place.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    place
}

/// Runs a program in the directory, with `probe` in the `PATH`.
fn run_in(place: &TempDir, command: &mut Command) -> Output {
    let probe = binaries::probe();
    let directory = probe.parent().expect("a file").display().to_string();
    let script = format!("PATH={directory}:$PATH; exec \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    probe_in(shell.current_dir(place.path()))
}

fn all(language: &str) -> Vec<Block> {
    let mut blocks = blocks(COOKBOOK);
    blocks.retain(|it| it.language == language);
    assert!(!blocks.is_empty(), "a recipe in {language}");
    blocks
}

/// The scripts of the steps of a workflow.
fn steps(yaml: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut is_script = false;
    for line in yaml.lines() {
        if line.trim_end().ends_with("run: |") {
            is_script = true;
            steps.push(String::new());
        } else if let (true, Some(code)) = (is_script, line.strip_prefix("    ")) {
            let step = steps.last_mut().expect("a step has begun");
            *step += code;
            step.push('\n');
        } else {
            is_script = false;
        }
    }
    steps
}

#[test]
#[ignore = "needs root"]
fn the_step_of_github_actions_fails_and_names_the_process_that_was_left() {
    let place = place();
    let yaml = &all("yaml")[0].text;
    let [tests, clean] = &steps(yaml)[..] else {
        panic!("two steps in {yaml}");
    };
    // The shell that GitHub Actions runs.
    let bash = |script: &str| run_in(&place, Command::new("bash").args(["-e", "-c", script]));
    let output = bash(tests);
    assert_eq!(output.code, Some(123), "{output:#?}");
    let _jq = requirements::tool("jq");
    let [jq, build] = &all("sh")[..] else {
        panic!("two blocks of shell");
    };
    let output = bash(&jq.text);
    assert!(output.stdout.starts_with("sleep "), "{output:#?}");
    assert!(output.stdout.ends_with(" killed\n"), "{output:#?}");
    assert_eq!(bash(clean).code, Some(0));
    let output = bash(&build.text);
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_tests_of_bats_succeed() {
    let place = place();
    let file = place.path().join("server.bats");
    fs::write(&file, &all("bats")[0].text).expect("a file");
    let file = Path::new("server.bats");
    let is_installed = Command::new("bats").arg("--version").output().is_ok();
    let output = if is_installed {
        run_in(&place, Command::new("bats").arg(file))
    } else {
        requirements::not_tested("bats is not installed: bash runs its tests");
        run_in(
            &place,
            Command::new("bash")
                .args(["-e", "-c", BATS, "bash"])
                .arg(file),
        )
    };
    assert_eq!(output.code, Some(0), "{output:#?}");
}
