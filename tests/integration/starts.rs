//! `--starts`: forks, and execs with their arguments.

use std::os::unix::fs::symlink;

use probe_tests::{Death, TracedCgroup, record};
use serde_json::{Value, json};

fn starts(traced: TracedCgroup, cause: &str, pid: u32) -> Vec<Value> {
    let reported = traced.finish();
    let is_it = |line: &&Value| line["type"] == "start" && line["cause"] == cause;
    let of_pid = reported
        .lines
        .iter()
        .filter(is_it)
        .filter(|line| line["pid"] == pid);
    of_pid.cloned().collect()
}

/// The only start record with this cause of a process.
fn only_start(traced: TracedCgroup, cause: &str, pid: u32) -> Value {
    let starts = starts(traced, cause, pid);
    let [start] = starts.as_slice() else {
        panic!("not one {cause}: {starts:#?}");
    };
    start.clone()
}

fn pid(death: &Death) -> u32 {
    record::pid(&death.report)
}

#[test]
#[ignore = "needs root"]
fn a_fork_is_reported_with_parent_and_time() {
    let mut traced = TracedCgroup::with("fork", &["--starts"]);
    let death = traced.run_parent(&["parent", "exit", "0"]);
    let cgroup = json!({
        "hierarchy": 0, "id": traced.cgroup.id(), "path": traced.cgroup.name(),
    });
    let fork = only_start(traced, "fork", pid(&death));
    assert_eq!(fork["ppid"], death.report["parent"]);
    assert_eq!(fork["comm"], "victim");
    assert_eq!(fork["cgroup"], cgroup);
    assert_eq!(fork["args"], Value::Null);
    assert_eq!(fork["start_boottime_ns"], death.exit["start_boottime_ns"]);
}

#[test]
#[ignore = "needs root"]
fn new_tasks_are_not_reported_as_starts() {
    let mut traced = TracedCgroup::with("tasks", &["--starts"]);
    let death = traced.run_parent(&["parent", "threads", "9", "exit", "0"]);
    only_start(traced, "fork", pid(&death));
}

#[test]
#[ignore = "needs root"]
fn an_exec_is_reported_with_its_name_and_arguments() {
    let directory = tempfile::tempdir().expect("a place for a link");
    let program = directory.path().join("program");
    symlink("/proc/self/exe", &program).expect("a new name");
    let program = program.to_str().expect("UTF-8");
    for before in [&["parent"] as &[&str], &["parent", "in-thread"]] {
        let mut traced = TracedCgroup::with("exec", &["--starts"]);
        let mut words = before.to_vec();
        words.extend(["exec-as", program, "named", "a \"b\" ü", "exit", "0"]);
        let death = traced.run_parent(&words);
        let exec = only_start(traced, "exec", pid(&death));
        assert_eq!(exec["comm"], "program");
        let args = json!([program, "named", "a \"b\" ü", "exit", "0"]);
        assert_eq!(exec["args"], args);
        assert_eq!(exec["args_truncated"], false);
        assert_eq!(exec["ppid"], death.report["parent"]);
    }
}

#[test]
#[ignore = "needs root"]
fn arguments_are_truncated_at_one_kibibyte() {
    let mut traced = TracedCgroup::with("long", &["--starts"]);
    let long = "x".repeat(2000);
    let death = traced.run_parent(&["parent", "exec", "exit", "0", &long]);
    let exec = only_start(traced, "exec", pid(&death));
    assert_eq!(exec["args_truncated"], true);
    let args = exec["args"].as_array().expect("the beginning of them");
    let last = args.last().and_then(Value::as_str).expect("text");
    assert!(long.starts_with(last) && last.len() < 1024, "{exec}");
    let bytes: usize = args
        .iter()
        .filter_map(Value::as_str)
        .map(|it| it.len() + 1)
        .sum();
    assert!((1023..=1025).contains(&bytes), "{bytes} of {exec}");
}

#[test]
#[ignore = "needs root"]
fn a_start_comes_before_the_exit() {
    let mut traced = TracedCgroup::with("order", &["--starts"]);
    let death = traced.run_parent(&["parent", "exec", "exit", "0"]);
    let pid = pid(&death);
    let reported = traced.finish();
    let of_pid = reported.lines.iter().filter(|line| line["pid"] == pid);
    let kinds: Vec<_> = of_pid
        .map(|line| line["cause"].as_str().or(line["type"].as_str()))
        .collect();
    assert_eq!(kinds, [Some("fork"), Some("exec"), Some("exit")]);
}

#[test]
#[ignore = "needs root"]
fn starts_are_reported_only_if_requested() {
    let mut traced = TracedCgroup::new("none");
    let _judged = traced.run_parent(&["parent", "exec", "exit", "0"]);
    let reported = traced.finish();
    assert!(reported.lines.iter().all(|line| line["type"] == "exit"));
    assert_eq!(reported.lines.len(), 2);
}
