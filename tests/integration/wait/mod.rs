//! `probe wait`: its verdicts with every backend, its errors and its survivors.

mod changes;
mod survivors;

use std::fs;

use probe_tests::{
    Cgroup, Output, Victim, Waiting,
    conditions::{self, BACKENDS},
    probe, random, record, requirements, scale,
};
use rustix::process::Signal;
use serde_json::Value;

/// The verdict is the last line, and the only one of its kind.
fn verdict(output: &Output) -> Value {
    let mut lines = output.json();
    let verdict = lines
        .pop()
        .unwrap_or_else(|| panic!("no verdict in {output:#?}"));
    assert_eq!(verdict["type"], "wait", "{output:#?}");
    let exits = lines.iter().filter(|line| record::is_exit(line)).count();
    assert_eq!(verdict["exits"], exits, "{output:#?}");
    assert!(
        lines.iter().all(|line| line["type"] != "wait"),
        "{output:#?}"
    );
    verdict
}

fn assert_verdict(output: &Output, code: i32, outcome: &str) -> Value {
    assert_eq!(output.code, Some(code), "{output:#?}");
    let verdict = verdict(output);
    assert_eq!(verdict["outcome"], outcome, "{output:#?}");
    assert_eq!(verdict["targets"][0]["outcome"], outcome, "{output:#?}");
    verdict
}

/// Runs `probe wait --json` to its end.
fn wait(args: &[&str]) -> Output {
    probe(&[&["wait", "--json"], args].concat())
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
    let mut victims = [(); 3].map(|()| Victim::spawn(&["pause"], Some(&cgroup)));
    let waiting = Waiting::armed(&["--cgroup", cgroup.path()]);
    cgroup.kill();
    let output = waiting.finish();
    let verdict = assert_verdict(&output, 0, "done");
    assert_eq!(verdict["backend"], requirements::best_backend());
    assert_eq!(verdict["exact"], true);
    if requirements::best_backend() != "bpf" {
        return;
    }
    assert_all_reported(&output, &verdict, 3);
    let target = &verdict["targets"][0]["cgroup"];
    assert_eq!(
        (&target["id"], &target["path"]),
        (&cgroup.id().into(), &cgroup.name().into())
    );
    let lines = output.json();
    for victim in &mut victims {
        let exit = lines.iter().find(|line| line["pid"] == victim.pid());
        let exit = exit.unwrap_or_else(|| panic!("no exit of {} in {output:#?}", victim.pid()));
        assert_eq!(record::wait_status(exit), victim.wait());
        assert_eq!(exit["killed_by"]["via"], cgroup.killed_via());
        assert_eq!(exit["killed_by"]["pid"], std::process::id());
    }
}

#[test]
#[ignore = "needs root"]
fn an_empty_or_removed_cgroup_is_already_done() {
    let parent = Cgroup::v2("already");
    let empty = parent.sub("empty");
    let verdict = assert_verdict(&wait(&["--cgroup", empty.path()]), 0, "already");
    assert_eq!(verdict["targets"][0]["cgroup"]["id"], empty.id());

    let gone = format!("{}/gone", parent.path());
    let output = wait(&["--cgroup", &gone]);
    let verdict = assert_verdict(&output, 0, "already");
    assert_eq!(verdict["targets"][0]["cgroup"]["id"], Value::Null);
    assert!(output.stderr.contains("gone already"), "{output:#?}");

    let parent = Cgroup::v1("pids", "already");
    let empty = parent.sub("empty");
    assert_verdict(&wait(&["--cgroup", empty.path()]), 0, "already");
    let gone = format!("{}/gone", parent.path());
    assert_verdict(&wait(&["--cgroup", &gone]), 0, "already");
}

#[test]
#[ignore = "needs root"]
fn a_missing_cgroup_is_an_error_with_must_exist_or_a_missing_parent() {
    let parent = Cgroup::v2("missing");
    let gone = format!("{}/gone", parent.path());
    let typo = format!("{gone}/below");
    for args in [
        &["--must-exist", "--cgroup", &gone][..],
        &["--cgroup", &typo],
        &["--cgroup", "/etc/passwd"],
        &["--cgroup", "/etc"],
    ] {
        let output = wait(args);
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(4), ""),
            "{output:#?}"
        );
        assert!(output.stderr.contains("probe: "), "{output:#?}");
    }
    assert_verdict(
        &wait(&["--must-exist", "--cgroup", parent.path()]),
        0,
        "already",
    );
}

#[test]
#[ignore = "needs root"]
fn a_root_cgroup_is_refused_because_it_never_becomes_empty() {
    for cgroup in [
        Cgroup::v2("root"),
        Cgroup::v1("pids", "root"),
        Cgroup::v1("freezer", "root"),
    ] {
        let root = cgroup
            .path()
            .strip_suffix(cgroup.name())
            .expect("the path ends with the name");
        let output = wait(&["-t", "0", "--cgroup", root]);
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{output:#?}"
        );
        assert!(output.stderr.contains("hint: "), "{output:#?}");
    }
    let output = wait(&["-t", "0", "--cgroup", "/"]);
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(2), ""),
        "{output:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_v1_cgroup_is_waited_for() {
    for (_, condition) in BACKENDS {
        let cgroup = Cgroup::v1("pids", "v1");
        let (mut crowd, _) = Victim::crowd(&["1", "8", "0"], &cgroup);
        let args = Waiting::args(&["--cgroup", cgroup.path()]);
        let waiting = Waiting::armed_in(&mut condition(&args));
        crowd.signal(Signal::KILL);
        let output = waiting.finish();
        let verdict = assert_verdict(&output, 0, "done");
        assert_eq!(verdict["targets"][0]["cgroup"]["id"], cgroup.id());
        if verdict["backend"] == "bpf" {
            assert_eq!(verdict["exits"], 1, "{output:#?}");
            assert_eq!(output.json()[0]["pid"], crowd.pid());
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
        let args = Waiting::args(&["--cgroup", cgroup.path()]);
        let waiting = Waiting::armed_in(&mut condition(&args));
        cgroup.kill();
        let output = waiting.finish();
        let verdict = assert_verdict(&output, 0, "done");
        assert_eq!(verdict["backend"], served_by, "{output:#?}");
        assert_eq!(
            verdict["exits"],
            if served_by == "bpf" { 5 } else { 0 },
            "{output:#?}"
        );
        assert_empty(&cgroup);
        crowd.wait();
    }
}

#[test]
#[ignore = "needs root"]
fn signals_interrupt_a_wait_with_a_verdict_and_then_end_it() {
    for (_, condition) in BACKENDS {
        for signal in [Signal::INT, Signal::TERM] {
            let cgroup = Cgroup::v2("interrupted");
            let victim = Victim::spawn(&["pause"], Some(&cgroup));
            let args = Waiting::args(&["--cgroup", cgroup.path()]);
            let waiting = Waiting::armed_in(&mut condition(&args));
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
    let mut victims = [(); 2].map(|()| Victim::spawn(&["pause"], Some(&cgroup)));
    let args = ["--cgroup", cgroup.path()];
    let waiting =
        Waiting::armed_in_without_stdout(&mut conditions::unrestricted(&Waiting::args(&args)));
    for victim in &mut victims {
        victim.signal(Signal::KILL);
        victim.wait();
        // Long enough for the timer of the other wait, which then prints the exit.
        let output = wait(&["-t", "300ms", "--cgroup", cgroup.path()]);
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
        let args = Waiting::args(&["--cgroup", cgroup.path()]);
        let waiting = Waiting::armed_in(&mut condition(&args));
        cgroup.kill();
        let output = waiting.finish();
        assert_empty(&cgroup);
        let verdict = assert_verdict(&output, 0, "done");
        if verdict["backend"] == "bpf" {
            assert_all_reported(&output, &verdict, processes.into());
        }
        crowd.wait();
    }
}
