//! Targets that are refused, and `--force`.

use std::{fs, process::Command};

use probe_tests::{Cgroup, Output, Victim, conditions, probe_in, record};
use rustix::process::Signal;

use super::{is_alive, kill};

/// Asserts that `probe kill` refuses these targets and signals no process, not even one of
/// a valid target.
fn assert_refused(args: &[&str], code: i32, words: &[&str]) {
    let cgroup = Cgroup::v2("refused");
    let victim = Victim::start(&["pause"], Some(&cgroup));
    let output = kill(&[&["--cgroup", cgroup.path()], args].concat());
    output.assert_refused(code, words);
    assert!(is_alive(victim.pid()), "{args:?}");
}

/// Runs `probe kill` with these arguments in a shell that runs this script first.
fn kill_after(script: &str, args: &[&str]) -> Output {
    let script = format!("{script}; exec \"$@\"");
    let kill = conditions::unrestricted(args);
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(kill.get_program());
    probe_in(command.arg("kill").args(args))
}

/// Runs `probe kill` with these arguments under a shell that is pid 1 of a pid namespace.
fn kill_under_pid_1(script: &str, args: &[&str]) -> Output {
    let kill = conditions::unrestricted(args);
    let mut command = Command::new("unshare");
    command
        .args([
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "sh",
            "-c",
        ])
        .args([script, "sh"])
        .arg(kill.get_program());
    probe_in(command.arg("kill").args(args))
}

#[test]
#[ignore = "needs root"]
fn a_threaded_cgroup_is_refused_with_its_domain_root_as_the_hint() {
    let root = Cgroup::v2("domain");
    let threaded = root.sub("threaded");
    threaded.write("cgroup.type", "threaded");
    let output = kill(&["--cgroup", threaded.path()]);
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("threaded cgroup"), "{output:#?}");
    let hint = format!(
        "hint: kill the domain cgroup of its processes: {}\n",
        root.path()
    );
    assert!(output.stderr.contains(&hint), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_thread_and_an_invalid_pid_are_refused() {
    let mut crowd = Victim::spawn_as("crowd", &["1", "2", "0"], None);
    crowd.release();
    let pid = record::pid(&crowd.report());
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is alive");
    let mut tids = tasks.map(|task| task.expect("an entry").file_name());
    let tid = tids.find(|tid| tid.to_str() != Some(&pid.to_string()));
    let tid = tid.expect("a second thread");
    let tid = tid.to_str().expect("a number");
    for args in [&[tid][..], &["--pid", tid]] {
        let hint = format!("hint: use the pid of the process: {pid}\n");
        assert_refused(args, 4, &["is a thread of process", &hint]);
    }
    assert!(is_alive(pid));
    for number in ["0", "-1", "4294967296", "-2147483648", "self", "1:x", ""] {
        let argument = format!("--pid={number}");
        assert_refused(&[&argument], 2, &["probe"; 0]);
        assert_refused(&["--", number], 2, &["probe"; 0]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_root_cgroup_and_an_invalid_path_are_refused() {
    for cgroup in [Cgroup::v2("below"), Cgroup::v1("pids", "below")] {
        let root = cgroup
            .path()
            .strip_suffix(cgroup.name())
            .expect("the path ends with the name");
        let words = ["the root of its hierarchy", "hint: name a cgroup below it"];
        assert_refused(&["--cgroup", root], 2, &words);
        // The kernel reports such a path as missing, as it does a removed cgroup.
        let long = format!("{}/{}", cgroup.path(), "x".repeat(300));
        let words = ["invalid cgroup path", "hint: ", "255 bytes"];
        assert_refused(&["--cgroup", &long], 2, &words);
        let waited = probe_tests::probe(&["wait", "-t", "0", "--cgroup", &long]);
        assert_eq!(waited.code, Some(2), "{waited:#?}");
    }
    assert_refused(&["--cgroup", "no/such/cgroup"], 4, &["hint: "]);
}

#[test]
#[ignore = "needs root"]
fn the_cgroup_of_probe_itself_and_pid_1_are_refused() {
    let cgroup = Cgroup::v2("own");
    let move_in = format!("echo $$ > {}/cgroup.procs", cgroup.path());
    let output = kill_after(&move_in, &["--cgroup", cgroup.path()]);
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("probe itself"), "{output:#?}");
    assert!(output.stderr.contains("hint: --force"), "{output:#?}");
    // SIGWINCH does nothing to pid 1, in case the check is missing.
    assert_refused(
        &["-s", "WINCH", "1"],
        2,
        &["refusing to kill pid 1", "hint: --force"],
    );
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_with_pid_1_in_it_or_below_it_is_refused() {
    for cgroup in [Cgroup::v2("init"), Cgroup::v1("pids", "init")] {
        let below = cgroup.sub("below");
        let root = cgroup
            .path()
            .strip_suffix(cgroup.name())
            .expect("the path ends with the name");
        let script = format!(
            "echo 1 > {}/cgroup.procs; (echo 0 > {root}/cgroup.procs; exec \"$@\"); exit $?",
            below.path()
        );
        let output = kill_under_pid_1(&script, &["--cgroup", cgroup.path()]);
        assert_eq!(output.code, Some(2), "{output:#?}");
        assert!(output.stderr.contains("contains pid 1"), "{output:#?}");
        assert!(output.stderr.contains("hint: --force"), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn force_signals_pid_1_and_probe_itself() {
    let script = "trap 'exit 7' USR1; \"$@\"; exit 8";
    let output = kill_under_pid_1(script, &["-s", "USR1", "--force", "1"]);
    assert_eq!(output.code, Some(7), "{output:#?}");

    for cgroup in [Cgroup::v2("forced"), Cgroup::v1("pids", "forced")] {
        let mut victim = Victim::start(&["pause"], Some(&cgroup));
        let move_in = format!("echo $$ > {}/cgroup.procs", cgroup.path());
        let output = kill_after(&move_in, &["--force", "--cgroup", cgroup.path()]);
        assert_eq!(output.signal, Some(Signal::KILL.as_raw()), "{output:#?}");
        assert_eq!(victim.wait(), 9);
    }
}
