//! Targets that are refused, and `--force`.

use std::fs;

use probe_tests::{
    Cgroup, Output, Victim, is_alive, probe, probe_in, requirements, run, started_by, words,
};
use rustix::process::Signal;

use super::{kill_cgroup, line};

/// Asserts that `probe kill` refuses these targets and signals no process, not even one of
/// a valid target.
fn assert_refused(args: &[&str], code: i32, expected: &[&str]) {
    let (cgroup, victim) = Victim::in_v2("refused");
    let output = probe(&[&words(&line(&cgroup, "")), args].concat());
    output.assert_refused(code, expected);
    assert!(is_alive(victim.pid()), "{args:?}");
}

/// Kills the cgroup with these options from a shell that moves itself into the cgroup first.
fn kill_from_inside(cgroup: &Cgroup, options: &str) -> Output {
    let script = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", cgroup.path());
    let shell = ["sh", "-c", &script, "sh"];
    probe_in(&mut started_by(&shell, &words(&line(cgroup, options))))
}

/// Runs this line of `probe` under a shell refusing to kill pid 1 of a pid namespace.
fn run_under_pid_1(script: &str, line: &str) -> Output {
    let namespace = words("unshare --pid --fork --mount-proc --kill-child sh -c");
    let shell = [&namespace[..], &[script, "sh"]].concat();
    probe_in(&mut started_by(&shell, &words(line)))
}

#[test]
#[ignore = "needs root"]
fn a_threaded_cgroup_is_refused_with_its_domain_root_as_the_hint() {
    let root = Cgroup::v2("domain");
    let threaded = root.sub("threaded");
    threaded.write("cgroup.type", "threaded");
    let hint = format!(
        "hint: kill the domain cgroup of its processes: {}\n",
        root.path()
    );
    kill_cgroup(&threaded, "").assert_ended(2, &["threaded cgroup", &hint]);
}

#[test]
#[ignore = "needs root"]
fn a_thread_and_an_invalid_pid_are_refused() {
    let above = Cgroup::v2("threads");
    let (_crowd, pid) = Victim::crowd(&["1", "2", "0"], &above);
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is alive");
    let mut tids = tasks.map(|task| task.expect("an entry").file_name());
    let tid = tids.find(|tid| tid.to_str() != Some(&pid.to_string()));
    let tid = tid.expect("a second thread").into_string();
    let tid = tid.expect("a number");
    for args in [&[tid.as_str()][..], &["--pid", &tid]] {
        let hint = format!("hint: use the pid of the process: {pid}\n");
        assert_refused(args, 4, &["is a thread of process", &hint]);
    }
    assert!(is_alive(pid));
}

#[test]
#[ignore = "needs root"]
fn a_root_cgroup_and_an_invalid_path_are_refused() {
    for cgroup in Cgroup::both("below") {
        let words = ["the root of its hierarchy", "hint: name a cgroup below it"];
        assert_refused(&["--cgroup", cgroup.root()], 2, &words);
        // The kernel reports such a path as missing, as it does a removed cgroup.
        let long = format!("{}/{}", cgroup.path(), "x".repeat(300));
        let words = ["invalid cgroup path", "hint: ", "255 bytes"];
        assert_refused(&["--cgroup", &long], 2, &words);
        let waited = run(&format!("wait -t 0 --cgroup {long}"));
        assert_eq!(waited.code, Some(2), "{waited:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_cgroup_of_probe_itself_and_pid_1_are_refused() {
    let output = kill_from_inside(&Cgroup::v2("own"), "");
    output.assert_ended(2, &["probe itself", "hint: --force"]);
    // SIGWINCH does nothing to pid 1, in case the check is missing.
    let args = ["-s", "WINCH", "1"];
    assert_refused(&args, 2, &["refusing to kill pid 1", "hint: --force"]);
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_with_pid_1_in_it_or_below_it_is_refused() {
    for cgroup in Cgroup::both("init") {
        let below = cgroup.sub("below");
        let move_in = format!("echo 1 > {}/cgroup.procs", below.path());
        let move_out = format!("echo 0 > {}/cgroup.procs", cgroup.root());
        let script = format!("{move_in}; ({move_out}; exec \"$@\"); exit $?");
        let output = run_under_pid_1(&script, &line(&cgroup, ""));
        output.assert_ended(2, &["contains pid 1", "hint: --force"]);
    }
}

#[test]
#[ignore = "needs root"]
fn force_signals_pid_1_and_probe_itself() {
    let script = "trap 'exit 7' USR1; \"$@\"; exit 8";
    let output = run_under_pid_1(script, "kill -s USR1 --force 1");
    assert_eq!(output.code, Some(7), "{output:#?}");

    for (cgroup, mut victim) in Cgroup::both("forced").map(Victim::inside) {
        let output = kill_from_inside(&cgroup, "--force");
        assert_eq!(output.signal, Some(Signal::KILL.as_raw()), "{output:#?}");
        assert_eq!(victim.wait(), 9);
    }
}

#[test]
#[ignore = "needs root"]
fn a_kernel_thread_is_refused_even_with_force() {
    // kthreadd; a pid namespace of its own has none.
    let comm = fs::read_to_string("/proc/2/comm");
    if comm.is_ok_and(|it| it == "kthreadd\n") {
        for options in ["", "--force", "--signal TERM"] {
            let output = run(&format!("kill {options} 2"));
            output.assert_refused(2, &["kthreadd", "kernel thread"]);
        }
    } else {
        requirements::inapplicable("pid 2 is no kernel thread here");
    }
}
