//! Processes that outlive the command.

use probe_tests::{Deadline, Running, conditions, state};

use super::{assert_no_trace_of, descendants_of, run_script};

/// A script that leaves processes in every way, each with this word in its command line.
fn leaves(word: &str) -> String {
    format!(
        "sleep {word} & setsid sleep {word} & (setsid sh -c 'sleep {word} & sleep {word}' &); \
         (trap '' TERM HUP; sleep {word} &); sh -c 'kill -STOP $$' {word} & \
         until [ \"$(pgrep --full --count {word})\" -ge 7 ]; do :; done; exit 7"
    )
}

#[test]
#[ignore = "needs root"]
fn every_process_that_the_command_leaves_is_killed() {
    let word = "98765.1";
    for options in [&[][..], &["--grace", "20ms"]] {
        let output = run_script(options, &leaves(word));
        assert_eq!(output.code, Some(7), "{output:#?}");
        assert!(output.stderr.contains("killed"), "{output:#?}");
        assert!(output.stderr.contains("sleep["), "{output:#?}");
        assert_eq!(descendants_of(word), [0; 0]);
    }
    assert_no_trace_of("killed leftovers");
}

#[test]
#[ignore = "needs root"]
fn a_leftover_can_be_a_failure() {
    let word = "98765.2";
    let output = run_script(&["--leftover", "fail"], &format!("sleep {word} & exit 0"));
    assert_eq!(output.code, Some(123), "{output:#?}");
    assert!(
        output.stderr.contains("killed 1 process of sh"),
        "{output:#?}"
    );
    assert_eq!(descendants_of(word), [0; 0]);
    let output = run_script(&["--leftover", "fail"], "true");
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    let output = run_script(&["--leftover", "fail"], "sh -c 'exit 3' & wait $!");
    assert_eq!((output.code, &*output.stderr), (Some(3), ""));
}

#[test]
#[ignore = "needs root"]
fn leftovers_may_end_by_themselves() {
    let output = run_script(&["--leftover", "wait"], "(sleep 0.2; echo end) & exit 5");
    assert_eq!(
        (output.code, &*output.stdout),
        (Some(5), "end\n"),
        "{output:#?}"
    );
    assert!(output.stderr.contains("waited for"), "{output:#?}");
    let script = "sleep 98765.3 & exit 5";
    let output = run_script(&["--leftover", "wait", "-t", "0.2"], script);
    assert_eq!(output.code, Some(124), "{output:#?}");
    assert_eq!(descendants_of("98765.3"), [0; 0]);
}

#[test]
#[ignore = "needs root"]
fn a_signal_ends_the_wait_for_leftovers() {
    let word = "98765.4";
    let script = format!("sleep {word} & echo ready");
    let args = ["run", "--leftover", "wait", "--", "sh", "-c", &script];
    let probe = Running::start(&mut conditions::unrestricted(&args));
    assert_eq!(probe.next_line().as_deref(), Some("ready"));
    Deadline::start().until("the command has ended", || {
        descendants_of(&script).is_empty() || descendants_of(&script) == [probe.pid()]
    });
    probe.signal(rustix::process::Signal::TERM);
    let output = probe.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert!(output.stderr.contains("killed 1 process"), "{output:#?}");
    assert_eq!(descendants_of(word), [0; 0]);
}

#[test]
#[ignore = "needs root"]
fn processes_that_move_to_other_cgroups_are_killed_too() {
    let word = "98765.5";
    let cgroup = probe_tests::Cgroup::v2("elsewhere");
    let script = format!(
        "echo $$ > {}/cgroup.procs; setsid sleep {word} & sleep {word} & exit 2",
        cgroup.path()
    );
    let output = run_script(&[], &script);
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("sleep["), "{output:#?}");
    assert_eq!(descendants_of(word), [0; 0]);
    assert_no_trace_of("processes that moved");
}

#[test]
#[ignore = "needs root"]
fn children_that_probe_had_before_are_left_alone() {
    let probe = conditions::unrestricted(&["run", "--", "true"]);
    let script = "sleep 98765.6 > /dev/null 2>&1 & echo $!; exec \"$@\"";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, "sh"]);
    shell.arg(probe.get_program()).args(probe.get_args());
    let mut probe = Running::spawn(shell.stdout(std::process::Stdio::piped()));
    let sleep = probe.next_line().expect("a pid").parse().expect("a pid");
    assert_eq!(probe.wait().code(), Some(0));
    assert_eq!(state(sleep), Some('S'));
    probe_tests::kill(sleep);
}

#[test]
#[ignore = "needs root"]
fn cgroups_below_that_of_the_run_are_removed_too() {
    let script = "own=$(sed -n s/^0:://p /proc/self/cgroup); \
                  for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do \
                  mkdir -p $root$own/a/b 2>/dev/null && break; done; \
                  sh -c \"echo \\$\\$ > $root$own/a/b/cgroup.procs; exec sleep 98765.7\" & \
                  until grep -q a/b /proc/$!/cgroup; do :; done";
    let output = run_script(&[], script);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(descendants_of("98765.7"), [0; 0]);
    assert_no_trace_of("nested cgroups");
}
