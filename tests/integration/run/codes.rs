//! The exit code of `probe run`.

use std::process::Command;

use probe_tests::{conditions, probe_in};

use super::{assert_no_trace_of, run, run_script};

#[test]
#[ignore = "needs root"]
fn the_exit_code_of_the_command_is_passed_on() {
    for code in [0, 1, 2, 42, 126, 255] {
        let output = run_script(&[], &format!("exit {code}"));
        assert_eq!(output.code, Some(code), "{output:#?}");
        assert_eq!(output.stderr, "", "there is nothing to tell");
    }
    assert_no_trace_of("exits");
}

#[test]
#[ignore = "needs root"]
fn a_command_that_a_signal_ended_has_128_and_its_number() {
    for (signal, name) in [(9, "SIGKILL"), (15, "SIGTERM"), (10, "SIGUSR1")] {
        let output = run_script(&[], &format!("kill -{signal} $$"));
        assert_eq!(output.code, Some(128 + signal), "{output:#?}");
        assert!(output.stderr.contains(name), "{output:#?}");
        let quiet = run_script(&["-q"], &format!("kill -{signal} $$"));
        assert_eq!(quiet.code, Some(128 + signal));
        assert_eq!(quiet.stderr, "");
    }
}

#[test]
#[ignore = "needs root"]
fn commands_that_cannot_be_started_have_codes_of_their_own() {
    let output = run(&["--", "/no/such/command"]);
    output.assert_refused(127, &["cannot run /no/such/command", "hint:"]);
    run(&["--", "no-such-command"]).assert_refused(127, &["no-such-command"]);
    run(&["--", "/etc/passwd"]).assert_refused(126, &["/etc/passwd", "hint:"]);
    run(&["--", "/"]).assert_refused(126, &["cannot run /"]);
    let report = ["--report", "/no/such/directory/report", "--", "true"];
    run(&report).assert_refused(125, &["cannot write the report"]);
    run(&["--timeout", "soon", "--", "true"]).assert_refused(125, &["invalid duration"]);
    run(&[]).assert_refused(125, &["required"]);
    assert_no_trace_of("refused commands");
}

#[test]
#[ignore = "needs root"]
fn the_command_gets_the_streams_the_arguments_and_the_limits_of_probe() {
    let mut shell = Command::new("sh");
    let probe = conditions::unrestricted(&["run", "--", "sh", "-c", "cat; ulimit -n; echo $1 >&2"]);
    let script = "ulimit -Sn 77; echo in | \"$@\"";
    shell.args(["-c", script, "sh"]);
    shell.arg(probe.get_program()).args(probe.get_args());
    shell.args(["sh", "--json"]);
    let output = probe_in(&mut shell);
    assert_eq!((output.code, &*output.stdout), (Some(0), "in\n77\n"));
    assert_eq!(output.stderr, "--json\n");
}

#[test]
#[ignore = "needs root"]
fn the_command_starts_in_a_cgroup_below_that_of_probe() {
    let own = std::fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    let own = own.lines().find_map(|it| it.strip_prefix("0::"));
    let own = own.expect("cgroup v2 is mounted").trim_end_matches('/');
    for denied in ["", "clone3"] {
        let args = ["run", "--", "grep", "0::", "/proc/self/cgroup"];
        let output = if denied.is_empty() {
            probe_in(&mut conditions::unrestricted(&args))
        } else {
            probe_in(&mut conditions::denied(denied, "ENOSYS", &args))
        };
        assert_eq!(output.code, Some(0), "{output:#?}");
        let below = output
            .stdout
            .trim_end()
            .strip_prefix("0::")
            .expect("a path");
        let below = below.strip_prefix(own).expect("below that of the test");
        assert!(below.starts_with("/probe-run-"), "{output:#?}");
        assert_eq!(output.stderr, "");
    }
    assert_no_trace_of("both ways into a cgroup");
}
