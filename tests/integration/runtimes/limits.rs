//! A container with a memory limit: one process exceeds the limit, then `probe kill` kills the
//! container. The records name both reasons.

use std::{fs, path::PathBuf};

use probe_tests::{
    Deadline, Waiting, conditions,
    engine::{CleanUp, Engine, Oci, Pids, Place},
    probe_in, record, requirements,
};
use serde_json::{Value, json};

use super::{runs, skip};

const LIMIT_BYTES: u64 = 24 << 20;

/// Waits for `/go`, runs a process that exceeds the limit, and survives it.
const SCRIPT: &str = "until [ -e /go ]; do sleep 0.1; done; /programs/victim eat; exec sleep 7777";

fn limited(program: &'static str, pids: Pids, place: Place) -> Oci {
    let oci = Oci::new(program, pids, place);
    let victim = conditions::program("victim");
    let programs = victim.parent().expect("a directory").to_owned();
    oci.configure(|spec| {
        spec["process"]["args"] = json!(["sh", "-c", SCRIPT]);
        spec["linux"]["resources"] = json!({"memory": {"limit": LIMIT_BYTES}});
        let mount = json!({
            "destination": "/programs", "type": "bind", "source": programs,
            "options": ["bind", "ro"],
        });
        spec["mounts"].as_array_mut().expect("an array").push(mount);
    });
    oci
}

/// The number of OOM kills of the cgroup, as the kernel counts them.
fn oom_kills(init: u32, place: &Place) -> u64 {
    let listed = fs::read_to_string(format!("/proc/{init}/cgroup")).expect("init runs");
    let line = listed
        .lines()
        .find(|line| line.contains(":memory:"))
        .or_else(|| listed.lines().find(|line| line.starts_with("0::")));
    let path = line.and_then(|line| line.splitn(3, ':').nth(2));
    let path = path.expect("a cgroup").trim_start_matches('/');
    let mounts = place.root().join("sys/fs/cgroup");
    let files: [PathBuf; 2] = [
        mounts.join("memory").join(path).join("memory.oom_control"),
        mounts.join(path).join("memory.events"),
    ];
    let counts = files.iter().find_map(|file| fs::read_to_string(file).ok());
    let counts = counts.unwrap_or_else(|| panic!("no count in {files:?}"));
    let count = counts
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    count.expect("a count").parse().expect("a number")
}

fn comm(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
    comm.map(|comm| comm.trim().to_owned()).unwrap_or_default()
}

/// The only matching exit record; `None` only if the kernel skipped the program.
fn one_of(reported: &[Value], is_it: impl Fn(&Value) -> bool) -> Option<&Value> {
    let exits = reported.iter().filter(|line| record::is_exit(line));
    let found: Vec<_> = exits.filter(|line| is_it(line)).collect();
    let is_lost = reported.last().is_some_and(|verdict| verdict["lost"] != 0);
    match found.as_slice() {
        [one] => Some(one),
        [] if is_lost => None,
        _ => panic!("{} of one exit in {reported:#?}", found.len()),
    }
}

fn check(runtime: &Oci, label: &str) -> Result<(), String> {
    let name = format!("probe-test-{}-{label}", std::process::id());
    let _clean_up = CleanUp(runtime, &name);
    runtime.start(&name)?;
    let init = runtime.init(&name);
    let mut wait = runtime
        .place()
        .probe(&Waiting::args(&["--container", &name]));
    let waiting = Waiting::start(&mut wait);
    waiting.wait_for_stderr(if requirements::has_bpf() {
        "no exit is missed from here on"
    } else {
        "exits are not reported"
    });
    runtime.release();
    Deadline::start().until("the first process is gone", || comm(init) == "sleep");
    assert_eq!(oom_kills(init, runtime.place()), 1);
    waiting.assert_running();

    let args = ["kill", "--json", "--container", &name];
    let killed = probe_in(&mut runtime.place().probe(&args));
    let deleted = runtime.remove(&name);
    assert_eq!(killed.code, Some(0), "{killed:#?}");
    assert_eq!(deleted, Ok(()), "{killed:#?}");

    let output = waiting.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
    let reported = output.json();
    let verdict = reported.last().expect("a verdict");
    assert_eq!(verdict["outcome"], "done", "{output:#?}");
    let best = requirements::best_backend();
    assert_eq!(verdict["backend"], best, "{output:#?}");
    let container = &verdict["targets"][0]["container"];
    assert_eq!(container["runtime"], runtime.runtime(), "{output:#?}");
    if best != "bpf" {
        return Ok(());
    }

    if let Some(eater) = one_of(&reported, |line| line["comm"] == "victim") {
        assert_eq!(record::wait_status(eater), 9, "{eater}");
        assert_eq!(eater["oom"], true, "{eater}");
        assert_eq!(eater["killed_by"]["via"], "oom", "{eater}");
        assert_eq!(eater["container"]["id"], name.as_str(), "{eater}");
    }
    if let Some(dead) = one_of(&reported, |line| line["pid"] == init) {
        assert_eq!(record::wait_status(dead), 9, "{dead}");
        assert_eq!(dead["oom"], false, "{dead}");
        assert_eq!(dead["killed_by"]["comm"], "probe", "{dead}");
        assert_eq!(dead["container"]["runtime"], runtime.runtime(), "{dead}");
    }
    Ok(())
}

/// Runs the test with a new pid namespace, and with that of the host.
fn both(program: &'static str, place: &Place) {
    for (pids, which) in [(Pids::Own, "own"), (Pids::Host, "host")] {
        let label = format!("{program}-limit-{which}");
        runs(program, || {
            check(&limited(program, pids, place.clone()), &label)
        });
    }
}

#[test]
#[ignore = "needs root"]
fn oom_kill_and_probe_kill_in_a_runc_container_are_reported() {
    both("runc", &Place::default());
}

/// crun supports only the memory controller of v2, which not every machine has.
#[test]
#[ignore = "needs root"]
fn oom_kill_and_probe_kill_in_a_crun_container_are_reported() {
    let Some(place) = Place::pure_v2() else {
        return skip("crun", "no mount namespace with cgroup v2 alone");
    };
    let controllers = place.root().join("sys/fs/cgroup/cgroup.controllers");
    let controllers = fs::read_to_string(controllers).expect("v2 is mounted");
    if !controllers.split_whitespace().any(|it| it == "memory") {
        return skip("crun", "the memory controller is not in v2: no limit");
    }
    both("crun", &place);
}
