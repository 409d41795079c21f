//! `probe run --clean`.

use std::path::Path;

use probe_tests::{Deadline, Running, conditions, probe_in};
use rustix::process::Signal;

use super::{assert_no_trace_of, cgroup_of, descendants_of, run};

fn start(word: &str) -> Running {
    let script = format!("setsid sleep {word} & echo ready; sleep {word}");
    let args = ["run", "--", "sh", "-c", &script];
    let probe = Running::start(&mut conditions::unrestricted(&args));
    assert_eq!(probe.next_line().as_deref(), Some("ready"));
    probe
}

#[test]
#[ignore = "needs root"]
fn the_leftovers_of_a_killed_probe_are_killed_and_those_of_a_living_one_are_not() {
    let alive = start("98762.1");
    let mut dead = start("98762.2");
    let cgroups = [cgroup_of(alive.pid()), cgroup_of(dead.pid())];
    dead.signal(Signal::KILL);
    let _killed = dead.wait();
    let output = run(&["--clean"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let lines: Vec<_> = output.stdout.lines().collect();
    let [line] = lines.as_slice() else {
        panic!("{output:#?}");
    };
    let path = cgroups[1].to_str().expect("UTF-8");
    assert!(
        line.starts_with(&format!("removed {path}: killed ")),
        "{line}"
    );
    assert_eq!(descendants_of("98762.2"), [0; 0]);
    assert!(!cgroups[1].exists());
    assert!(cgroups[0].exists());
    assert_ne!(descendants_of("98762.1"), [0; 0]);
    let output = run(&["--clean"]);
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output:#?}");
    alive.signal(Signal::TERM);
    let _ended = alive.finish();
    assert_no_trace_of("--clean");
}

#[test]
#[ignore = "needs root"]
fn a_probe_in_another_pid_namespace_is_alive() {
    let script = "setsid sleep 98762.3 & echo ready; sleep 98762.3";
    let args = ["run", "--", "sh", "-c", script];
    let mut unshare = conditions::started_by(
        &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
        &args,
    );
    let outside = Running::start(&mut unshare);
    assert_eq!(outside.next_line().as_deref(), Some("ready"));
    // In its own namespace probe is pid 1, and pid 1 of this one has another start.
    let cgroup = cgroup_of(1);
    let output = run(&["--clean"]);
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output:#?}");
    assert!(cgroup.exists());
    drop(outside);
    Deadline::start().until("the run is over", || {
        run(&["--clean"]).stdout.contains("removed")
    });
    assert!(!cgroup.exists());
    assert_no_trace_of("another pid namespace");
}

#[test]
#[ignore = "needs root"]
fn a_user_cleans_only_its_own_cgroups() {
    let mut dead = start("98762.4");
    let cgroup = cgroup_of(dead.pid());
    dead.signal(Signal::KILL);
    let _killed = dead.wait();
    let output = probe_in(&mut conditions::without_privilege(&["run", "--clean"]));
    assert_ne!(output.code, Some(0), "{output:#?}");
    assert!(cgroup.exists());
    assert_eq!(run(&["--clean"]).code, Some(0));
    assert!(!Path::new(&cgroup).exists());
    run(&["--clean", "--", "true"]).assert_refused(125, &["--clean"]);
}
