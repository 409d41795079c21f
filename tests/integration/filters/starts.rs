//! The filters of `probe trace --starts`.

use probe_tests::{Cgroup, Finished, Probe, Victim, record};
use serde_json::Value;

use super::until;

/// `cause` of the start records of the children of a process. Its own starts do not count: its
/// exec races with its move to the cgroup.
fn starts_below(reported: &Finished, parent: u32) -> Vec<&str> {
    let starts = reported
        .lines
        .iter()
        .filter(|line| line["type"] == "start" && line["ppid"] == parent);
    starts
        .map(|line| line["cause"].as_str().expect("a word"))
        .collect()
}

#[test]
#[ignore = "needs root"]
fn starts_are_reported_with_their_arguments_only_if_requested() {
    let cgroup = Cgroup::v2("starts");
    let args = ["--cgroup", cgroup.path()];
    let (without, with) = (
        Probe::trace(&args),
        Probe::trace(&[&args[..], &["--starts"]].concat()),
    );
    let mut shell = shell_in(&cgroup, "sh -c 'exit 3' 'an argument' ''; :");
    shell.wait();
    let reported = until(without, shell.pid());
    assert!(
        starts_below(&reported, shell.pid()).is_empty(),
        "{reported:#?}"
    );
    let reported = until(with, shell.pid());
    let exec = reported
        .lines
        .iter()
        .find(|line| line["cause"] == "exec" && line["ppid"] == shell.pid())
        .unwrap_or_else(|| panic!("no exec in {reported:#?}"));
    assert_eq!(
        exec["args"],
        serde_json::json!(["sh", "-c", "exit 3", "an argument", ""])
    );
    assert_eq!(starts_below(&reported, shell.pid()), ["fork", "exec"]);
    let child = record::pid(exec);
    assert_eq!(reported.exits_of(child).len(), 1);
}

/// Starts a shell with a script in the cgroup.
fn shell_in(cgroup: &Cgroup, script: &str) -> Victim {
    let script = format!("read go; {script}");
    let mut shell = Victim::spawn_command(
        std::process::Command::new("sh").args(["-c", &script]),
        Some(cgroup),
    );
    shell.release();
    shell
}

#[test]
#[ignore = "needs root"]
fn starts_are_filtered_by_target_name_and_uid_only() {
    let (cgroup, other) = (Cgroup::v2("starts"), Cgroup::v2("not"));
    let script = "sh -c 'exit 0'; :";
    let trace =
        |args: &[&str]| Probe::trace(&[&["--starts", "--cgroup", cgroup.path()], args].concat());
    let traces = [
        trace(&["--failed"]),
        trace(&["--signaled"]),
        trace(&["--oom"]),
        trace(&["--min-age", "1h"]),
    ];
    let nameless = trace(&["--comm", "no-such-name"]);
    let uidless = trace(&["--uid", "4242"]);
    shell_in(&other, script).wait();
    let mut shell = shell_in(&cgroup, script);
    shell.wait();
    for trace in traces {
        let reported = trace.finish();
        assert_eq!(
            starts_below(&reported, shell.pid()),
            ["fork", "exec"],
            "{reported:#?}"
        );
        assert_eq!(reported.exits().count(), 0, "{reported:#?}");
    }
    assert_eq!(nameless.finish().lines, [Value::Null; 0]);
    assert_eq!(uidless.finish().lines, [Value::Null; 0]);
}

#[test]
#[ignore = "needs root"]
fn starts_in_a_v1_cgroup_are_reported() {
    let cgroup = Cgroup::v1("pids", "starts");
    let trace = Probe::trace(&["--starts", "--cgroup", cgroup.path()]);
    let mut shell = shell_in(&cgroup, "sh -c 'exit 0'; :");
    shell.wait();
    let reported = until(trace, shell.pid());
    assert_eq!(
        starts_below(&reported, shell.pid()),
        ["fork", "exec"],
        "{reported:#?}"
    );
}
