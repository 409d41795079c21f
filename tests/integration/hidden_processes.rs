//! Living processes that `/proc` does not show, because it is mounted with `hidepid=` or belongs
//! to another pid namespace. They are never taken for gone.

use std::process::Command;

use probe_tests::{
    Cgroup, Output, Victim, Waiting, and_probe, conditions, is_alive, probe_in, started_by,
};

/// Runs `probe` as `nobody` where `/proc` hides the processes of other users.
fn hiding(option: &str, args: &[&str]) -> Command {
    let script = format!("mount -t proc -o hidepid={option} proc /proc; exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script]);
    let inner = conditions::without_privilege(args);
    command.arg(inner.get_program()).args(inner.get_args());
    command
}

/// The options that hide processes, or their files.
const HIDING: [&str; 3] = ["1", "2", "4"];

fn hidden(option: &str, args: &[&str]) -> Output {
    probe_in(&mut hiding(option, args))
}

#[test]
#[ignore = "needs root"]
fn a_hidden_process_is_waited_for_by_its_pidfd() {
    for option in HIDING {
        for (backend, until) in [("auto", "exited"), ("pidfd", "reaped")] {
            let mut victim = Victim::start(&["pause"], None);
            let pid = victim.pid().to_string();
            let args = ["--backend", backend, "--until", until, &pid];
            let limited = [&["wait", "--json", "-t", "0"], &args[..]].concat();
            let timeout = hidden(option, &limited).verdict("timeout");
            let survivor = &timeout["survivors"][0];
            assert_eq!(survivor["pid"], victim.pid(), "{timeout}");
            assert_eq!(survivor["state"], "?", "{timeout}");
            let waiting = Waiting::armed_in(&mut hiding(option, &Waiting::args(&args)));
            victim.kill();
            let verdict = waiting.finish().verdict("done");
            assert_eq!(verdict["exact"], true, "{verdict}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn without_pidfds_a_hidden_process_is_an_error() {
    let victim = Victim::start(&["pause"], None);
    let pid = victim.pid().to_string();
    for verb in ["wait", "kill"] {
        for option in ["2", "4"] {
            let output = hidden(option, &[verb, "--backend", "poll", &pid]);
            output.assert_ended(5, &["exists", "hint: "]);
        }
        let output = hidden("1", &[verb, "--backend", "poll", &pid]);
        output.assert_ended(1, &["cannot read the state", "not permitted"]);
    }
    assert!(is_alive(victim.pid()));
}

#[test]
#[ignore = "needs root"]
fn a_hidden_process_that_may_not_be_signalled_is_not_gone() {
    for option in HIDING {
        let victim = Victim::start(&["pause"], None);
        let pid = victim.pid().to_string();
        let output = hidden(option, &["kill", "-t", "0", &pid]);
        output.assert_ended(5, &["cannot signal 1 process", &pid]);
        assert!(is_alive(victim.pid()));
    }
}

#[test]
#[ignore = "needs root"]
fn a_hidden_process_that_moves_out_is_waited_for_and_the_verdict_is_not_exact() {
    for option in HIDING {
        let (cgroup, mut victim) = Victim::in_v2("hidden");
        let args = ["--until", "exited", "--cgroup", cgroup.path()];
        let waiting = Waiting::armed_in(&mut hiding(option, &Waiting::args(&args)));
        Cgroup::leave_all(victim.pid());
        cgroup.wait_empty();
        waiting.assert_running();
        victim.kill();
        let verdict = waiting.finish().verdict("done");
        // A member that came and left between two looks would be hidden too.
        assert_eq!(verdict["exact"], false, "{verdict}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_member_that_cannot_be_opened_is_reported_as_not_signalled() {
    for cgroup in [Cgroup::v2("unopened"), Cgroup::v1("pids", "unopened")] {
        let victim = Victim::start(&["pause"], Some(&cgroup));
        let args = ["kill", "-s", "TERM", "-t", "0", "--cgroup", cgroup.path()];
        let denied = conditions::denied("pidfd_open", "ENOSYS", &args);
        let script = "mount -t proc -o hidepid=2 proc /proc; exec \"$0\" \"$@\"";
        let nobody = [
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
        ];
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", script]).args(nobody);
        command.arg(denied.get_program()).args(denied.get_args());
        let output = probe_in(&mut command);
        output.assert_ended(5, &["cannot signal 1 process", &victim.pid().to_string()]);
        assert!(is_alive(victim.pid()));
    }
}

#[test]
#[ignore = "needs root"]
fn a_list_without_the_hidden_processes_says_so() {
    let victim = Victim::start(&["pause"], None);
    let pid = victim.pid().to_string();
    let output = hidden("2", &["ps", &pid]);
    output.assert_ended(0, &["does not show this user every process", "hint: "]);
}

/// Runs `probe` in a pid namespace with the `/proc` of the machine. `$pid` in the arguments is
/// the pid of a child of the shell, which the shell kills when `probe` has printed a line.
fn in_pid_namespace(script: &str, args: &[&str]) -> Output {
    let before = ["unshare", "--pid", "--fork", "sh", "-c", script];
    probe_in(&mut started_by(&before, args))
}

const WITH_CHILD: &str = "sleep 1000 & \"$0\" \"$@\" $!; code=$?; kill -9 $! 2> /dev/null || \
    echo 'the child is dead' >&2; exit $code";

#[test]
#[ignore = "needs root"]
fn a_pid_is_one_of_the_own_namespace_whatever_proc_shows() {
    for backend in ["auto", "pidfd"] {
        for until in ["exited", "reaped"] {
            let args = [
                "wait",
                "--json",
                "-t",
                "30ms",
                "--backend",
                backend,
                "--until",
                until,
            ];
            let output = in_pid_namespace(WITH_CHILD, &args);
            let timeout = output.verdict("timeout");
            assert!(!output.stderr.contains("the child is dead"), "{output:#?}");
            // The process with this number in the other namespace is not named.
            assert_eq!(timeout["survivors"][0]["comm"], "?", "{timeout}");
        }
        let killed = in_pid_namespace(WITH_CHILD, &["kill", "--json", "--backend", backend]);
        killed.verdict("done");
        // The shell has reaped its child while it waited for `probe`.
        assert!(killed.stderr.contains("the child is dead"), "{killed:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_of_the_own_namespace_that_ends_is_done() {
    let script = "sleep 1000 & child=$!; \"$0\" \"$@\" $child & probe=$!; kill -9 $child; \
        wait $child; wait $probe";
    let output = in_pid_namespace(script, &["wait", "--json", "--until", "reaped"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let gone = in_pid_namespace("exec \"$0\" \"$@\" 30000", &["wait", "--json"]);
    gone.verdict("already");
}

#[test]
#[ignore = "needs root"]
fn without_pidfds_a_foreign_proc_is_an_error_with_a_hint() {
    let output = in_pid_namespace(WITH_CHILD, &["wait", "--backend", "poll"]);
    output.assert_ended(5, &["another pid namespace", "hint: mount"]);
    let output = in_pid_namespace("exec \"$0\" \"$@\" $$", &["ps"]);
    output.assert_ended(5, &["another pid namespace", "hint: mount"]);
}

#[test]
#[ignore = "needs root"]
fn the_members_of_a_cgroup_are_killed_in_a_namespace_with_a_foreign_proc() {
    for cgroup in [Cgroup::v2("foreign"), Cgroup::v1("pids", "foreign")] {
        let script = format!(
            "sh -c 'echo 0 > {0}/cgroup.procs; exec sleep 1000' & \
             until read pid < {0}/cgroup.procs; do :; done; exec \"$0\" \"$@\"",
            cgroup.path()
        );
        let args = [
            "kill",
            "--json",
            "--grace",
            "30s",
            "--cgroup",
            cgroup.path(),
        ];
        let output = in_pid_namespace(&script, &args);
        let verdict = output.verdict("done");
        assert!(
            verdict["elapsed_ns"].as_u64() < Some(30_000_000_000),
            "{verdict}"
        );
        assert_eq!(cgroup.procs(), [0; 0]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_mount_point_that_is_not_utf_8_is_no_obstacle() {
    let (cgroup, mut victim) = Victim::in_v2("mounted");
    let script = "point=$(mktemp -d)/$(printf '\\377'); mkdir \"$point\"; \
        mount -t tmpfs none \"$point\"; exec \"$0\" \"$@\"";
    let command = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", script]);
        and_probe(command, args)
    };
    let args = ["--until", "exited", "--cgroup", cgroup.path()];
    let waiting = Waiting::armed_in(&mut command(&Waiting::args(&args)));
    victim.kill();
    waiting.finish().verdict("done");
}
