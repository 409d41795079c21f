//! Targets of `probe wait`, valid and invalid: exit codes and messages.

mod status;
mod wrong_usage;

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use probe_tests::{Cgroup, Output, Victim, Waiting, conditions, kernel, probe, probe_in};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

/// A pid that no kernel assigns: above the largest possible `pid_max`.
const NO_PID: &str = "4194305";

fn wait(args: &[&str]) -> Output {
    probe(&[&["wait", "--json"], args].concat())
}

fn outcomes(verdict: &Value) -> Vec<&str> {
    let targets = verdict["targets"].as_array().expect("a list");
    let outcomes = targets.iter().map(|target| target["outcome"].as_str());
    outcomes.map(|it| it.expect("a word")).collect()
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_a_live_process_ends_at_the_timeout() {
    let us = std::process::id().to_string();
    let own = fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    assert!(own.contains("0::"), "v2 is mounted: {own}");
    let cgroup = Cgroup::v2("own");
    for pid in ["1", &us] {
        for until in ["exited", "reaped"] {
            for timeout in ["0", "30ms"] {
                let output = wait(&["-t", timeout, "--until", until, pid]);
                let verdict = output.verdict("timeout");
                assert_eq!(verdict["survivors"][0]["pid"].to_string(), *pid);
            }
        }
    }
    // `probe` waits for the cgroup that it is in.
    let script = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";
    let mut inside = Command::new("sh");
    let wait =
        conditions::unrestricted(&["wait", "--json", "-t", "50ms", "--cgroup", cgroup.path()]);
    inside.args(["-c", script, "sh", cgroup.path()]);
    inside.arg(wait.get_program()).args(wait.get_args());
    let verdict = probe_in(&mut inside).verdict("timeout");
    assert_eq!(verdict["survivors"][0]["comm"], "probe", "{verdict}");
}

#[test]
#[ignore = "needs root"]
fn a_tid_of_a_thread_is_refused_with_its_process() {
    let (crowd, pid) = Victim::ready(&["crowd", "1", "2", "0"], None);
    let (pid, tid) = (pid.to_string(), crowd.other_tid());
    for backend in ["auto", "pidfd", "poll"] {
        let output = wait(&["--backend", backend, "-t", "0", &tid]);
        output.assert_refused(4, &["thread", "hint: ", &pid]);
    }
    wait(&["--status", "-t", "0", &tid]).assert_refused(125, &["thread"]);
}

#[test]
#[ignore = "needs root"]
fn a_pidfd_inode_distinguishes_processes_with_one_pid() {
    if !kernel::has_pidfd_inodes() {
        kernel::inapplicable("pidfds have no inode numbers of their own");
    }
    let mut victim = Victim::spawn(&["pause"], None);
    let number = i32::try_from(victim.pid()).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(number.expect("a pid"), PidfdFlags::empty()).expect("the process lives");
    let inode = rustix::fs::fstat(&pidfd).expect("an open file").st_ino;
    let right = format!("{}:{inode}", victim.pid());
    let wrong = format!("{}:{}", victim.pid(), inode + 1);

    wait(&["-t", "0", &right]).verdict("timeout");
    let output = wait(&["-t", "0", &wrong]);
    output.verdict("already");
    assert!(output.stderr.contains("did not exist"), "{output:#?}");
    let output = wait(&["--must-exist", "-t", "0", &wrong]);
    output.assert_refused(4, &["is gone", &wrong]);

    let waiting = Waiting::armed(&[&right]);
    victim.kill();
    waiting.finish().verdict("done");
    let output = wait(&["-t", "0", &right]);
    output.verdict("already");
}

#[test]
#[ignore = "needs root"]
fn a_target_that_is_gone_is_done_unless_it_must_exist() {
    let parent = Cgroup::v2("gone");
    let gone = format!("{}/gone", parent.path());
    let mut victim = Victim::spawn(&["pause"], None);
    victim.kill();
    let pid = victim.pid().to_string();
    for target in [
        &["--cgroup", gone.as_str()][..],
        &["--pid", &pid],
        &[&pid],
        &[NO_PID],
    ] {
        let output = wait(target);
        output.verdict("already");
        assert!(output.stderr.contains("did not exist"), "{output:#?}");
        wait(&[&["--must-exist"], target].concat()).assert_refused(4, &["probe: no "]);
    }
}

#[test]
#[ignore = "needs root"]
fn pids_come_in_lists_and_from_stdin_and_each_counts_once() {
    let mut victims = [(); 2].map(|()| Victim::spawn(&["pause"], None));
    let [one, two] = [0, 1].map(|it| victims[it].pid().to_string());
    let list = format!("{one},{two},{one}");
    let verdict = wait(&["-t", "0", &list, &two]).verdict("timeout");
    assert_eq!(outcomes(&verdict), ["timeout", "timeout"]);
    let script = format!("echo {one} {two} | \"$0\" \"$@\"");
    let from_stdin = |args: &[&str]| {
        let probe = conditions::unrestricted(args);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(probe.get_program());
        probe_in(shell.args(probe.get_args()))
    };
    let listed = from_stdin(&["ps", "--json", "-"]);
    assert_eq!(listed.json().len(), 2, "{listed:#?}");
    let killed = from_stdin(&["kill", "--json", "-9", "-"]);
    assert_eq!(outcomes(&killed.verdict("done")).len(), 2);
    for victim in &mut victims {
        victim.wait();
    }
    let quiet = probe(&["wait", "-q", &list]);
    assert_eq!(
        (quiet.code, &*quiet.stdout, &*quiet.stderr),
        (Some(0), "", "")
    );
    let mut empty = conditions::unrestricted(&["wait", "-"]);
    let empty = probe_in(empty.stdin(std::process::Stdio::null()));
    empty.assert_refused(4, &["stdin has no pids", "hint: "]);
}

#[test]
#[ignore = "needs root"]
fn an_impossible_target_is_no_such_target() {
    let parent = Cgroup::v2("typo");
    let file = format!("{}/cgroup.procs", parent.path());
    for name in [file.as_str(), "/etc", "/etc/passwd", "/proc/no/such"] {
        wait(&["-t", "0", "--cgroup", name]).assert_refused(4, &["probe: "]);
    }
    for name in ["..", "a/../b", ""] {
        let output = wait(&["-t", "0", "--cgroup", name]);
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{output:#?}"
        );
    }
    for (flag, name) in [
        ("--unit", "no-such-unit.service"),
        ("--unit", "no-such-unit"),
        ("--container", "no-such-container"),
    ] {
        for must in [&["--must-exist"][..], &["--missing", "error"]] {
            let refused = wait(&[&["-t", "0", flag, name], must].concat());
            refused.assert_refused(4, &["probe: ", "hint: "]);
        }
        for may in [&[][..], &["-e"], &["--missing", "ok"]] {
            let output = wait(&[&["-t", "0", flag, name], may].concat());
            output.verdict("already");
            assert!(output.stderr.contains("did not exist"), "{output:#?}");
        }
        probe(&["kill", flag, name]).assert_refused(4, &["probe: ", "hint: "]);
        let output = probe(&["kill", "--json", "--missing", "ok", flag, name]);
        output.verdict("already");
        assert_eq!(wait(&["-t", "0", flag, ""]).code, Some(2));
    }
}

#[test]
#[ignore = "needs root"]
fn a_path_with_a_newline_is_printed_on_one_line() {
    let parent = Cgroup::v1("pids", "newline");
    // The kernel refuses a newline in the name of a cgroup, but a user may pass one.
    let name = format!("{}/a\nb", parent.path());
    assert!(
        fs::create_dir(&name).is_err(),
        "cgroup_mkdir refuses a newline"
    );
    let output = wait(&["-t", "0", "--cgroup", &name]);
    let verdict = output.verdict("already");
    let path = verdict["targets"][0]["cgroup"]["path"].as_str();
    assert!(path.is_some_and(|it| it.ends_with("/a\nb")), "{verdict}");
    assert_eq!(output.stdout.lines().count(), 2);
    let human = probe(&["wait", "-t", "0", "--cgroup", &name]);
    assert_eq!(human.stdout.lines().count(), 1, "{human:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_the_user_may_not_read_is_refused() {
    for cgroup in [Cgroup::v2("closed"), Cgroup::v1("pids", "closed")] {
        let below = cgroup.sub("below");
        let _victim = Victim::spawn(&["pause"], Some(&below));
        fs::set_permissions(cgroup.path(), fs::Permissions::from_mode(0o700))
            .expect("root may do this");
        for path in [cgroup.path(), below.path()] {
            let args = ["wait", "--json", "-t", "0", "--cgroup", path];
            let output = probe_in(&mut conditions::without_privilege(&args));
            output.assert_refused(5, &["probe: ", "hint: "]);
            probe(&args).verdict("timeout");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn the_root_of_every_hierarchy_is_refused() {
    for (path, hierarchy) in [("/", "v2"), ("/", "pids"), ("/", "freezer")] {
        let output = wait(&["-t", "0", "--hierarchy", hierarchy, "--cgroup", path]);
        output.assert_refused(2, &["root", "hint: "]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_name_in_several_v1_hierarchies_needs_the_hierarchy() {
    let pids = Cgroup::v1("pids", "twice");
    let freezer = pids.path().replacen("/pids/", "/freezer/", 1);
    fs::create_dir(&freezer).expect("root may do this");
    let output = wait(&["-t", "0", "--cgroup", pids.name()]);
    let chosen = wait(&["-t", "0", "--hierarchy", "pids", "--cgroup", pids.name()]);
    let unknown = wait(&["-t", "0", "--hierarchy", "x", "--cgroup", pids.name()]);
    fs::remove_dir(&freezer).expect("the cgroup is empty");
    output.assert_refused(2, &[pids.path(), &freezer, "--hierarchy"]);
    chosen.verdict("already");
    unknown.assert_refused(2, &["mounted hierarchies: "]);
}

#[test]
#[ignore = "needs root"]
fn targets_of_several_kinds_are_waited_for_in_one_call() {
    for backend in ["auto", "pidfd", "poll"] {
        let [v2, v1] = [Cgroup::v2("mixed"), Cgroup::v1("pids", "mixed")];
        let mut victims = [Some(&v2), Some(&v1), None].map(|it| Victim::spawn(&["pause"], it));
        let pid = victims[2].pid().to_string();
        let cgroups = ["--cgroup", v2.path(), "--cgroup", v1.path()];
        let others = [&pid, NO_PID, "-e", "--unit", "no-such-unit"];
        let args = [&["--backend", backend][..], &cgroups, &others].concat();
        let waiting = Waiting::armed(&args);
        for victim in &mut victims {
            waiting.assert_running();
            victim.kill();
        }
        let verdict = waiting.finish().verdict("done");
        // The conditions of the targets differ, so the line has none.
        assert_eq!(verdict["until"], Value::Null);
        let mut kinds = outcomes(&verdict);
        kinds.sort_unstable();
        assert_eq!(kinds, ["already", "already", "done", "done", "done"]);
    }
}

#[test]
#[ignore = "needs root"]
fn count_and_any_end_the_wait_with_the_others_not_done() {
    for backend in ["auto", "pidfd", "poll"] {
        let cgroups = [(); 3].map(|()| Cgroup::v2("any"));
        let _victims = [0, 1, 2].map(|it| Victim::spawn(&["pause"], Some(&cgroups[it])));
        let names: Vec<_> = cgroups
            .iter()
            .flat_map(|it| ["--cgroup", it.path()])
            .collect();
        let any = Waiting::armed(&[&names[..], &["--any", "--backend", backend]].concat());
        let two = Waiting::armed(&[&names[..], &["-n", "2", "--backend", backend]].concat());
        cgroups[1].kill();
        let verdict_any = any.finish().verdict("done");
        assert_eq!(outcomes(&verdict_any), ["timeout", "done", "timeout"]);
        assert_eq!(verdict_any["survivors"], Value::Array(Vec::new()));
        two.assert_running();
        cgroups[2].kill();
        let verdict_two = two.finish().verdict("done");
        assert_eq!(outcomes(&verdict_two), ["timeout", "done", "done"]);
        // A target that is gone counts for `--any`.
        let args = [&["-t", "0", "--any", NO_PID], &names[..]].concat();
        let output = wait(&args);
        assert_eq!(output.code, Some(0), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_unit_is_that_of_the_machine_and_not_that_of_a_user_or_a_container() {
    let machine = Cgroup::v2("unit");
    let unit = format!("{}.service", machine.name().trim_start_matches('/'));
    let id = format!("{:064x}", machine.id());
    let manager = machine.sub("user@1000.service");
    let docker = machine.sub(&format!("docker-{id}.scope"));
    let [user, container] = [&manager, &docker].map(|it| it.sub(&unit));
    let several = wait(&["-t", "0", "--unit", &unit]);
    several.assert_refused(2, &["several cgroups", user.name(), container.name()]);
    let own = machine.sub(&unit);
    let (_victim, pid) = Victim::ready(&["crowd", "1", "1", "0"], &own);
    let verdict = wait(&["-t", "0", "--unit", &unit]).verdict("timeout");
    assert_eq!(verdict["targets"][0]["cgroup"]["path"], own.name());
    assert_eq!(verdict["survivors"][0]["pid"], pid);
}
