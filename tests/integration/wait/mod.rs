//! `probe wait`: its verdicts with every backend, its errors and its survivors.

mod changes;
mod survivors;

use std::fs;

use probe_tests::{
    Cgroup, Output, Victim, Waiting, assert_fields,
    conditions::{self, BACKENDS},
    random, record, requirements, run, scale,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The verdict is the last line, and the only one of its kind.
fn verdict(output: &Output) -> Value {
    let verdict = output.last_line();
    assert_eq!(verdict["type"], "wait", "{output:#?}");
    // A wait that has seen no exit may not know whether there were any.
    let exits = output.exits().len();
    if exits > 0 || !verdict["exits"].is_null() {
        assert_eq!(verdict["exits"], exits, "{output:#?}");
    }
    let lines = output.json();
    let verdicts = lines.iter().filter(|line| line["type"] == "wait");
    assert_eq!(verdicts.count(), 1, "{output:#?}");
    verdict
}

/// Asserts the outcome of a wait and of its first target, and the exit code that belongs to it.
fn assert_verdict(output: &Output, outcome: &str) -> Value {
    output.verdict(outcome);
    let verdict = verdict(output);
    assert_eq!(verdict["targets"][0]["outcome"], outcome, "{output:#?}");
    verdict
}

/// Runs `probe wait --json` with the words of this line to its end.
fn wait(line: &str) -> Output {
    run(&format!("wait --json {line}"))
}

/// Runs a wait for this cgroup that looks once.
fn look(cgroup: &Cgroup) -> Output {
    wait(&format!("-t 0 --cgroup {}", cgroup.path()))
}

/// Asserts that this wait for this path is done at once, and returns its verdict.
fn assert_already(options: &str, path: &str) -> Value {
    let output = wait(&format!("{options} --cgroup {path}"));
    assert_verdict(&output, "already")
}

/// Asserts that every exit is reported, except as many as the kernel counts as skipped; the
/// verdict has the same count.
fn assert_all_reported(output: &Output, verdict: &Value, processes: u64) {
    let skipped: u64 = output
        .json()
        .iter()
        .filter(|line| line["type"] == "lost" && line["reason"] == "skipped")
        .filter_map(|line| line["count"].as_u64())
        .sum();
    assert_eq!(verdict["lost"], skipped, "{output:#?}");
    let exits = verdict["exits"].as_u64().expect("a number");
    assert!(exits <= processes, "{output:#?}");
    assert!(exits + skipped >= processes, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_kill_is_done_and_the_exits_are_printed_before_the_verdict() {
    let cgroup = Cgroup::v2("done");
    let mut victims = [(); 3].map(|()| Victim::paused(&cgroup));
    let waiting = Waiting::armed(&["--cgroup", cgroup.path()]);
    cgroup.kill();
    let output = waiting.finish();
    let verdict = assert_verdict(&output, "done");
    let best = requirements::best_backend();
    assert_fields(&verdict, &json!({"backend": best, "exact": true}));
    if best != "bpf" {
        return;
    }
    assert_all_reported(&output, &verdict, 3);
    let target = json!({"id": cgroup.id(), "path": cgroup.name()});
    assert_fields(&verdict["targets"][0]["cgroup"], &target);
    let lines = output.json();
    for victim in &mut victims {
        let exit = lines.iter().find(|line| line["pid"] == victim.pid());
        let exit = exit.unwrap_or_else(|| panic!("no exit of {} in {output:#?}", victim.pid()));
        assert_eq!(record::wait_status(exit), victim.wait());
        let killer = json!({"via": cgroup.killed_via(), "pid": std::process::id()});
        assert_fields(&exit["killed_by"], &killer);
    }
}

#[test]
#[ignore = "needs root"]
fn an_empty_or_removed_cgroup_is_already_done() {
    for parent in Cgroup::both("already") {
        let empty = parent.sub("empty");
        let verdict = assert_already("", empty.path());
        assert_eq!(verdict["targets"][0]["cgroup"]["id"], empty.id());

        let output = wait(&format!("--cgroup {}/gone", parent.path()));
        let verdict = assert_verdict(&output, "already");
        assert_eq!(verdict["targets"][0]["cgroup"]["id"], Value::Null);
        output.assert_ended(0, &["did not exist", &format!("{}/gone", parent.path())]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_missing_cgroup_is_an_error_with_must_exist() {
    let parent = Cgroup::v2("missing");
    let path = parent.path();
    for line in [
        &format!("--must-exist --cgroup {path}/gone"),
        &format!("--must-exist --cgroup {path}/gone/below"),
        "--cgroup /etc/passwd",
        "--cgroup /etc",
    ] {
        wait(line).assert_refused(4, &["probe: "]);
    }
    assert_already("--must-exist", path);
}

#[test]
#[ignore = "needs root"]
fn a_root_cgroup_is_refused_because_it_never_becomes_empty() {
    for cgroup in [
        Cgroup::v2("root"),
        Cgroup::v1("pids", "root"),
        Cgroup::v1("freezer", "root"),
    ] {
        let output = wait(&format!("-t 0 --cgroup {}", cgroup.root()));
        output.assert_refused(2, &["hint: "]);
    }
    wait("-t 0 --cgroup /").assert_refused(2, &[]);
}

#[test]
#[ignore = "needs root"]
fn a_v1_cgroup_is_waited_for() {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v1("pids", "v1");
        let (mut crowd, _) = Victim::crowd(&["1", "8", "0"], &cgroup);
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        crowd.signal(Signal::KILL);
        let output = waiting.finish();
        let verdict = assert_verdict(&output, "done");
        assert_eq!(verdict["targets"][0]["cgroup"]["id"], cgroup.id());
        if verdict["backend"] == "bpf" {
            assert_eq!(verdict["exits"], 1, "{output:#?}");
            assert_eq!(output.exits(), [crowd.pid()]);
        } else {
            assert_eq!(verdict["backend"], "poll", "v1 has no cgroup.events");
        }
        fs::remove_dir(cgroup.path()).expect("rmdir works right after the verdict");
        crowd.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn the_verdict_has_no_exits_where_bpf_is_denied() {
    for (backend, condition) in BACKENDS {
        let served_by = requirements::available_backend(backend);
        let cgroup = Cgroup::v2("denied");
        let (mut crowd, _) = Victim::crowd(&["5", "3", "0"], &cgroup);
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        cgroup.kill();
        let output = waiting.finish();
        let verdict = assert_verdict(&output, "done");
        let exits = (served_by == "bpf").then_some(5);
        assert_fields(&verdict, &json!({"backend": served_by, "exits": exits}));
        assert_empty(&cgroup);
        crowd.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn signals_interrupt_a_wait_with_a_verdict_and_then_end_it() {
    for (_, condition) in BACKENDS {
        for signal in [Signal::INT, Signal::TERM] {
            let (cgroup, victim) = Victim::in_v2("interrupted");
            let waiting = Waiting::for_cgroup(condition, &cgroup);
            waiting.signal(signal);
            let output = waiting.finish();
            assert_eq!((output.code, output.signal), (None, Some(signal.as_raw())));
            let verdict = verdict(&output);
            assert_eq!(verdict["outcome"], "interrupted");
            assert_eq!(verdict["survivors"][0]["pid"], victim.pid());
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_reader_that_goes_away_does_not_change_the_verdict() {
    let cgroup = Cgroup::v2("reader");
    let mut victims = [(); 2].map(|()| Victim::paused(&cgroup));
    let args = Waiting::args(&["--cgroup", cgroup.path()]);
    let waiting = Waiting::armed_in_without_stdout(&mut conditions::unrestricted(&args));
    for victim in &mut victims {
        victim.kill();
        // Long enough for the timer of the other wait, which then prints the exit.
        let output = wait(&format!("-t 300ms --cgroup {}", cgroup.path()));
        assert!(matches!(output.code, Some(0 | 3)), "{output:#?}");
    }
    let output = waiting.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
}

/// Asserts what the verdict promises, without waiting: no populated cgroup, no listed
/// process, and `rmdir` works.
fn assert_empty(cgroup: &Cgroup) {
    let events = fs::read_to_string(cgroup.file("cgroup.events")).expect("v2 has this file");
    assert!(events.contains("populated 0"), "{events}");
    assert_eq!(cgroup.procs(), [0; 0]);
    fs::remove_dir(cgroup.path()).expect("rmdir works right after the verdict");
}

#[test]
#[ignore = "needs root"]
fn the_cgroup_is_empty_right_after_the_verdict_in_300_rounds() {
    let mut random = random::seeded();
    // On UML inside an emulated machine a round takes 20 seconds.
    let rounds = scale::rounds(if requirements::is_uml() { 60 } else { 300 });
    for _ in 0..rounds {
        let cgroup = Cgroup::v2("rounds");
        let processes = random.u32(1..=20);
        let threads = [1, 1, 3, 9][random.usize(..4)];
        let large = if scale::is_emulated() { 16 } else { 64 };
        let mebibytes = if random.u8(..10) == 0 { large } else { 0 };
        let words = [processes, threads, mebibytes].map(|number| number.to_string());
        let (mut crowd, _) = Victim::crowd(&words.each_ref().map(String::as_str), &cgroup);
        let (_, condition) = BACKENDS[random.usize(..BACKENDS.len())];
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        cgroup.kill();
        let output = waiting.finish();
        assert_empty(&cgroup);
        let verdict = assert_verdict(&output, "done");
        if verdict["backend"] == "bpf" {
            assert_all_reported(&output, &verdict, processes.into());
        }
        crowd.wait();
    }
}
