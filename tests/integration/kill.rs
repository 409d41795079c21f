//! `probe kill`: it reaches everybody that is meant, and nobody else.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use probe_tests::{Cgroup, Deadline, Output, Victim, conditions, probe, probe_in, record};
use rustix::process::{Pid, test_kill_process};
use serde_json::Value;

/// `probe kill --json`.
fn kill(args: &[&str]) -> Output {
    probe(&[&["kill", "--json"], args].concat())
}

fn verdict(output: &Output) -> Value {
    let verdict = output.json().pop();
    let verdict = verdict.unwrap_or_else(|| panic!("no verdict in {output:#?}"));
    assert_eq!(verdict["type"], "kill", "{output:#?}");
    verdict
}

fn assert_done(output: &Output) {
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(verdict(output)["outcome"], "done", "{output:#?}");
}

fn is_alive(pid: u32) -> bool {
    let pid = Pid::from_raw(pid.cast_signed()).expect("not 0");
    test_kill_process(pid).is_ok()
}

/// A shell in the cgroup that runs this, once it said that it is ready.
fn shell(script: &str, cgroup: &Cgroup) -> Victim {
    let script = format!("read _; {script}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stderr(Stdio::null());
    let mut shell = Victim::spawn_command(&mut command, Some(cgroup));
    shell.release();
    let _ready = shell.report();
    shell
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_with_others_below_it_is_killed_in_both_versions_and_removed() {
    for cgroup in [Cgroup::v2("kill"), Cgroup::v1("pids", "kill")] {
        let below = cgroup.sub("below");
        let _deeper = below.sub("deeper");
        let mut victims = [&cgroup, &below].map(|it| Victim::start(&["pause"], Some(it)));
        assert_done(&kill(&["--rm", "--cgroup", cgroup.path()]));
        assert_eq!(victims.each_mut().map(Victim::wait), [9, 9]);
        assert!(fs::metadata(cgroup.path()).is_err(), "{}", cgroup.path());
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_whose_leader_has_exited_is_killed_though_cgroup_kill_spares_it() {
    let cgroup = Cgroup::v2("leader");
    let mut victim = Victim::start(&["leader-gone", "3", "pause"], Some(&cgroup));
    let stat = format!("/proc/{}/stat", victim.pid());
    Deadline::start().until("the leader has exited", || {
        fs::read_to_string(&stat).is_ok_and(|it| it.contains(") Z "))
    });
    assert_done(&kill(&["-t", "10", "--cgroup", cgroup.path()]));
    assert_eq!(victim.wait(), 9);
}

#[test]
#[ignore = "needs root"]
fn a_process_is_killed_and_another_signal_is_not_waited_for() {
    let mut victim = Victim::start(&["pause"], None);
    let pid = victim.pid().to_string();
    let output = kill(&["-s", "WINCH", &pid]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    assert!(is_alive(victim.pid()));
    assert_done(&kill(&[&pid]));
    assert_eq!(victim.wait(), 9);
}

#[test]
#[ignore = "needs root"]
fn sigkill_follows_when_the_grace_is_over() {
    let cgroup = Cgroup::v2("grace");
    let mut stubborn = shell("trap '' TERM; echo 1; while :; do read _; done", &cgroup);
    assert_done(&kill(&["--grace", "50ms", "--cgroup", cgroup.path()]));
    assert_eq!(stubborn.wait(), 9);

    let mut polite = shell("trap 'exit 7' TERM; echo 1; read _; exit 8", &cgroup);
    assert_done(&kill(&["--grace", "60", "--cgroup", cgroup.path()]));
    assert_eq!(polite.wait(), 7 << 8);
}

#[test]
#[ignore = "needs root"]
fn a_timeout_includes_the_grace() {
    let cgroup = Cgroup::v2("time");
    let _stubborn = shell("trap '' TERM; echo 1; while :; do read _; done", &cgroup);
    let args = ["--grace", "60", "-t", "50ms", "--cgroup", cgroup.path()];
    let output = kill(&args);
    assert_eq!(output.code, Some(3), "{output:#?}");
    assert_eq!(verdict(&output)["outcome"], "timeout");
    cgroup.kill();
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_keeps_forking_is_emptied_and_left_thawed_on_v2_and_v1() {
    for cgroup in [Cgroup::v2("bomb"), Cgroup::v1("freezer", "bomb")] {
        // Each that lives makes the next and ends. Whether that outruns us, so that
        // it is frozen, is up to chance.
        let script = "echo 1; f() { (f) & }; f; f; f; f; wait; read _";
        let _bomb = shell(script, &cgroup);
        let output = kill(&["-t", "20", "--cgroup", cgroup.path()]);
        assert_done(&output);
        assert!(cgroup.procs().is_empty(), "{output:#?}");
        let state = ["cgroup.freeze", "freezer.state"].map(|it| cgroup.file(it));
        let state = state.iter().find_map(|it| fs::read_to_string(it).ok());
        let state = state.expect("both have a freezer");
        assert!(["0", "THAWED"].contains(&state.trim()), "{state}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_frozen_v2_cgroup_is_killed_and_a_frozen_v1_one_is_named() {
    let cgroup = Cgroup::v2("frozen");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    cgroup.write("cgroup.freeze", "1");
    assert_done(&kill(&["--cgroup", cgroup.path()]));
    assert_eq!(victim.wait(), 9);

    let cgroup = Cgroup::v1("freezer", "frozen");
    let mut victim = Victim::start(&["pause"], Some(&cgroup));
    cgroup.write("freezer.state", "FROZEN");
    let output = kill(&["-t", "100ms", "--cgroup", cgroup.path()]);
    let state = fs::read_to_string(cgroup.file("freezer.state")).expect("readable");
    cgroup.write("freezer.state", "THAWED");
    assert_eq!(victim.wait(), 9);
    assert_eq!(output.code, Some(3), "{output:#?}");
    assert!(output.stderr.contains("is frozen"), "{output:#?}");
    assert_ne!(state.trim(), "THAWED", "we thawed what others froze");
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
    let hint = format!("hint: its processes belong to {}\n", root.path());
    assert!(output.stderr.contains(&hint), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn our_own_cgroup_and_pid_1_are_refused() {
    let cgroup = Cgroup::v2("own");
    let script = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", cgroup.path());
    let binary = conditions::as_it_is(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(binary.get_program());
    let output = probe_in(command.args(["kill", "--cgroup", cgroup.path()]));
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("probe itself"), "{output:#?}");
    // Signal 28 does nothing to either, should the defence be gone.
    let output = kill(&["-s", "WINCH", "1"]);
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("pid 1"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn without_privilege_some_are_reached_and_the_others_named() {
    let cgroup = Cgroup::v2("partial");
    let roots = Victim::start(&["pause"], Some(&cgroup));
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--clear-groups",
        "sh",
        "-c",
        "read _; echo 1; read _",
    ]);
    let mut theirs = Victim::spawn_command(&mut command, Some(&cgroup));
    theirs.release();
    let _ready = theirs.report();
    let args = ["kill", "--json", "--cgroup", cgroup.path()];
    let output = probe_in(&mut conditions::without_privilege(&args));
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert_eq!(theirs.wait(), 9);
    assert!(is_alive(roots.pid()));
    let named = format!("{} victim: ", roots.pid());
    assert!(output.stderr.contains(&named), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
    let survivors = &verdict(&output)["survivors"];
    assert_eq!(survivors[0]["pid"], roots.pid(), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn with_records_every_exit_is_told() {
    let cgroup = Cgroup::v2("records");
    let victim = Victim::start(&["pause"], Some(&cgroup));
    let output = kill(&["--records", "--cgroup", cgroup.path()]);
    assert_done(&output);
    let exits: Vec<_> = output.json().into_iter().filter(record::is_exit).collect();
    assert_eq!(exits.len(), 1, "{output:#?}");
    assert_eq!(exits[0]["pid"], victim.pid());
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_stays_busy_is_not_done_and_the_time_is_obeyed() {
    let cgroup = Cgroup::v2("busy");
    // Nobody is in it; what is mounted on it keeps it busy.
    let below = cgroup.sub("below");
    let mount = |args: &[&str]| {
        let done = Command::new(args[0]).args(&args[1..]).status();
        assert!(done.expect("runs").success(), "{args:?}");
    };
    mount(&["mount", "-t", "tmpfs", "probe-test", below.path()]);
    let kept = Path::new(below.path()).join("kept");
    fs::create_dir(&kept).expect("a tmpfs");
    let output = kill(&["--rm", "-t", "300ms", "--cgroup", cgroup.path()]);
    let is_kept = kept.is_dir();
    mount(&["umount", below.path()]);
    assert!(is_kept, "what is mounted below is somebody else's");
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert_ne!(verdict(&output)["outcome"], "done", "{output:#?}");
    assert_ne!(verdict(&output)["outcome"], "already", "{output:#?}");
    assert!(output.stderr.contains("cannot remove"), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn who_has_to_be_frozen_to_be_reached_is_thawed_again_and_it_is_said_before() {
    for (cgroup, file, thawed) in [
        (Cgroup::v2("freeze"), "cgroup.freeze", "0"),
        (Cgroup::v1("freezer", "freeze"), "freezer.state", "THAWED"),
    ] {
        let mut victim = Victim::start(&["pause"], Some(&cgroup));
        let froze = ["--freeze-after", "0", "-s", "TERM", "-t", "30"];
        let output = kill(&[&froze[..], &["--cgroup", cgroup.path()]].concat());
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(verdict(&output)["outcome"], "done", "{output:#?}");
        let said = format!("froze {}", cgroup.path());
        assert!(output.stderr.contains(&said), "{output:#?}");
        let state = fs::read_to_string(Path::new(cgroup.path()).join(file));
        assert_eq!(state.expect("still there").trim_end(), thawed);
        victim.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn a_pid_that_is_another_process_by_now_is_not_killed() {
    let victim = Victim::start(&["pause"], None);
    // No pidfd has the inode number 1: whoever is meant is gone.
    let another = format!("{}:1", victim.pid());
    let output = kill(&[&another]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(verdict(&output)["outcome"], "already", "{output:#?}");
    let pid = Pid::from_raw(i32::try_from(victim.pid()).expect("a pid")).expect("a pid");
    test_kill_process(pid).expect("it lives");
    assert!(
        !fs::read_to_string(format!("/proc/{}/stat", victim.pid()))
            .expect("it lives")
            .contains(") Z ")
    );
}

#[test]
#[ignore = "needs root"]
fn several_targets_of_different_kinds_are_killed_in_one_call() {
    let cgroup = Cgroup::v2("several");
    let mut member = Victim::start(&["pause"], Some(&cgroup));
    let mut alone = Victim::start(&["pause"], None);
    let pid = alone.pid().to_string();
    let output = kill(&["--cgroup", cgroup.path(), &pid, "-t", "30"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let verdict = verdict(&output);
    assert_eq!(verdict["outcome"], "done", "{output:#?}");
    assert_eq!(verdict["until"], Value::Null, "{output:#?}");
    assert_eq!(verdict["targets"][0]["outcome"], "done", "{output:#?}");
    assert_eq!(verdict["targets"][1]["outcome"], "done", "{output:#?}");
    member.wait();
    alone.wait();
}
