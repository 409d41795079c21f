//! What each target and condition of `probe trace` lets through, and what not:
//! one that must come, one that must not, and one last that must, so that the
//! wait for it ends.

use probe_tests::{Cgroup, Finished, Probe, Victim, record};
use rustix::process::Signal;
use serde_json::Value;

/// Starts a victim, and reaps it.
fn die(args: &[&str], cgroup: &Cgroup) -> u32 {
    let mut victim = Victim::start(args, Some(cgroup));
    victim.wait();
    victim.pid()
}

fn pids(told: &Finished) -> Vec<u32> {
    told.exits().map(record::pid).collect()
}

/// Ends the trace after the record of this process.
fn until(mut trace: Probe, last: u32) -> Finished {
    trace.exit_of(last);
    trace.finish()
}

#[test]
#[ignore = "needs root"]
fn a_v2_cgroup_is_traced_with_what_is_made_below_it_later() {
    let wanted = Cgroup::v2("wanted");
    let before = wanted.sub("before");
    let other = Cgroup::v2("other");
    let trace = Probe::trace(&["--cgroup", wanted.path()]);
    let after = wanted.sub("after");
    let deep = after.sub("deep");
    die(&["exit", "1"], &other);
    let expected = [&wanted, &before, &after, &deep].map(|cgroup| die(&["exit", "0"], cgroup));
    let told = until(trace, expected[3]);
    assert_eq!(pids(&told), expected);
    let path = |index: usize| told.lines[index]["cgroup"]["path"].clone();
    assert_eq!(path(2), after.name());
    assert_eq!(path(3), deep.name());
    assert_eq!(told.seen, 4, "the kernel half keeps the others back");
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_whose_name_begins_alike_is_another_one() {
    let parent = Cgroup::v2("names");
    let (wanted, other) = (parent.sub("a"), parent.sub("ab"));
    let trace = Probe::trace(&["--cgroup", wanted.path()]);
    die(&["exit", "0"], &other);
    let last = die(&["exit", "0"], &wanted);
    assert_eq!(pids(&until(trace, last)), [last]);

    let parent = Cgroup::v1("pids", "names");
    let (wanted, other) = (parent.sub("a"), parent.sub("ab"));
    let trace = Probe::trace(&["--cgroup", wanted.path()]);
    die(&["exit", "0"], &other);
    let last = die(&["exit", "0"], &wanted);
    assert_eq!(pids(&until(trace, last)), [last]);
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_may_be_named_in_every_way_that_the_help_says() {
    let cgroup = Cgroup::v2("names");
    let bare = cgroup.name().trim_start_matches('/');
    let slash = format!("{}/", cgroup.path());
    for name in [cgroup.path(), cgroup.name(), bare, &slash] {
        let trace = Probe::trace(&["--cgroup", name]);
        let last = die(&["exit", "0"], &cgroup);
        assert_eq!(pids(&until(trace, last)), [last], "{name}");
    }
    let cgroup = Cgroup::v1("freezer", "names");
    let bare = cgroup.name().trim_start_matches('/');
    for args in [
        &["--cgroup", cgroup.path()][..],
        &["--cgroup", bare],
        &["--cgroup", cgroup.name(), "--hierarchy", "freezer"],
    ] {
        let trace = Probe::trace(args);
        let last = die(&["exit", "0"], &cgroup);
        assert_eq!(pids(&until(trace, last)), [last], "{args:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_v1_cgroup_is_traced_also_where_the_record_names_another_hierarchy() {
    let (v2, freezer) = (Cgroup::v2("both"), Cgroup::v1("freezer", "both"));
    let below = freezer.sub("below");
    let trace = Probe::trace(&["--cgroup", freezer.path()]);
    die(&["exit", "0"], &v2);
    let mut both = Victim::spawn(&["exit", "0"], Some(&v2));
    below.add(both.pid());
    both.release();
    both.wait();
    let later = freezer.sub("later");
    let last = die(&["exit", "0"], &later);
    let told = until(trace, last);
    assert_eq!(pids(&told), [both.pid(), last]);
    // v2 is told where there is one, whatever was asked for.
    assert_eq!(told.lines[0]["cgroup"]["path"], v2.name());
}

#[test]
#[ignore = "needs root"]
fn several_cgroups_add_up_in_the_kernel_and_beyond_its_slots() {
    let other = Cgroup::v2("other");
    // More than the kernel half has slots for: then it is tested outside.
    for count in [2, 70] {
        let parent = Cgroup::v2("several");
        let cgroups: Vec<_> = (0..count)
            .map(|index| parent.sub(&format!("c{index}")))
            .collect();
        let args: Vec<_> = cgroups
            .iter()
            .flat_map(|it| ["--cgroup", it.path()])
            .collect();
        let trace = Probe::trace(&args);
        die(&["exit", "0"], &other);
        die(&["exit", "0"], &parent);
        let first = die(&["exit", "0"], &cgroups[0]);
        let last = die(&["exit", "0"], &cgroups[count - 1]);
        assert_eq!(pids(&until(trace, last)), [first, last], "{count}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_v2_and_a_v1_cgroup_add_up() {
    let (v2, v1, other) = (
        Cgroup::v2("sum"),
        Cgroup::v1("pids", "sum"),
        Cgroup::v1("pids", "not"),
    );
    let trace = Probe::trace(&["--cgroup", v2.path(), "--cgroup", v1.path()]);
    die(&["exit", "0"], &other);
    let expected = [&v2, &v1].map(|cgroup| die(&["exit", "0"], cgroup));
    assert_eq!(pids(&until(trace, expected[1])), expected);
}

#[test]
#[ignore = "needs root"]
fn cgroups_of_two_v1_hierarchies_are_refused() {
    let (one, two) = (Cgroup::v1("pids", "two"), Cgroup::v1("freezer", "two"));
    // Also with one of the same hierarchy as the first in between.
    let output = probe_tests::probe(&[
        "trace",
        "--cgroup",
        one.path(),
        "--cgroup",
        two.path(),
        "--cgroup",
        one.path(),
    ]);
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("hint: "), "{output:#?}");
    let same = one.sub("below");
    let trace = Probe::trace(&["--cgroup", one.path(), "--cgroup", same.path()]);
    let last = die(&["exit", "0"], &same);
    assert_eq!(pids(&until(trace, last)), [last]);
}

#[test]
#[ignore = "needs root"]
fn pids_add_up() {
    let cgroup = Cgroup::v2("pids");
    let mut victims = [(); 3].map(|()| Victim::spawn(&["exit", "0"], Some(&cgroup)));
    let wanted = [victims[0].pid(), victims[2].pid()];
    let args = wanted.map(|pid| pid.to_string());
    let trace = Probe::trace(&["--pid", &args[0], "--pid", &args[1]]);
    for victim in &mut victims {
        victim.release();
        victim.wait();
    }
    let told = until(trace, wanted[1]);
    assert_eq!(pids(&told), wanted);
    assert_eq!(told.seen, 2, "the kernel half keeps the others back");
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_and_a_pid_add_up() {
    for cgroup in [Cgroup::v2("wanted"), Cgroup::v1("pids", "wanted")] {
        let other = Cgroup::v2("other");
        let mut by_pid = Victim::spawn(&["exit", "0"], Some(&other));
        let pid = by_pid.pid().to_string();
        let trace = Probe::trace(&["--cgroup", cgroup.path(), "--pid", &pid]);
        die(&["exit", "0"], &other);
        by_pid.release();
        by_pid.wait();
        let last = die(&["exit", "0"], &cgroup);
        assert_eq!(pids(&until(trace, last)), [by_pid.pid(), last]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_name_is_matched_by_any_of_several_globs() {
    let cgroup = Cgroup::v2("comm");
    let below = |args: &[&str]| Probe::trace(&[&["--cgroup", cgroup.path()], args].concat());
    let trace = below(&["--comm", "no-such", "--comm", "v?ct[i]*"]);
    let last = die(&["exit", "0"], &cgroup);
    assert_eq!(pids(&until(trace, last)), [last]);

    let mut by_pid = Victim::spawn(&["exit", "0"], None);
    let pid = by_pid.pid().to_string();
    let trace = below(&[
        "--comm", "not-*", "--comm", "ictim", "--pid", &pid, "--starts",
    ]);
    die(&["exit", "0"], &cgroup);
    by_pid.release();
    by_pid.wait();
    // Nothing is ever shown: the summary tells when both were seen.
    assert_eq!(seen_in_the_end(trace, 2).lines, [Value::Null; 0]);
}

/// For a trace that shows nothing: what it saw, when that is known to be all.
fn seen_in_the_end(trace: Probe, least: u64) -> Finished {
    // The last drain comes after the signal, so nothing is missing.
    let told = trace.finish();
    assert!(told.seen >= least, "{told:#?}");
    told
}

/// A condition on the exit itself: `passing` come, `others` do not.
fn assert_condition(args: &[&str], passing: &[&[&str]], others: &[&[&str]]) {
    // v2 cgroups are tested by the kernel half, v1 cgroups outside.
    for cgroup in [Cgroup::v2("condition"), Cgroup::v1("pids", "condition")] {
        let args = [&["--cgroup", cgroup.path()], args].concat();
        let trace = Probe::trace(&args);
        for other in others {
            die(other, &cgroup);
        }
        let expected: Vec<_> = passing.iter().map(|it| die(it, &cgroup)).collect();
        for other in others {
            die(other, &cgroup);
        }
        let told = until(trace, *expected.last().expect("one passes"));
        assert_eq!(pids(&told), expected, "{args:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn failed_means_not_exit_0() {
    assert_condition(
        &["--failed"],
        &[&["exit", "1"], &["signal", "9"], &["exit", "255"]],
        &[&["exit", "0"]],
    );
}

#[test]
#[ignore = "needs root"]
fn signaled_means_ended_by_a_signal() {
    assert_condition(
        &["--signaled"],
        &[&["signal", "15"], &["signal", "9"]],
        &[&["exit", "0"], &["exit", "9"]],
    );
}

#[test]
#[ignore = "needs root"]
fn conditions_must_hold_together() {
    assert_condition(
        &[
            "--failed",
            "--signaled",
            "--comm",
            "victim",
            "--uid",
            "0",
            "--max-age",
            "1h",
        ],
        &[&["signal", "15"]],
        &[&["exit", "9"]],
    );
}

#[test]
#[ignore = "needs root"]
fn oom_lets_no_other_kill_through() {
    let cgroup = Cgroup::with_memory(16 << 20, "oom");
    let trace = Probe::trace(&["--oom", "--cgroup", cgroup.path()]);
    die(&["signal", "9"], &cgroup);
    let mut eater = Victim::spawn_as("crowd", &["1", "1", "64"], Some(&cgroup));
    eater.release();
    assert_eq!(eater.wait(), Signal::KILL.as_raw());
    let told = until(trace, eater.pid());
    assert_eq!(pids(&told), [eater.pid()]);
    assert_eq!(told.lines[0]["oom"], true);
}

#[test]
#[ignore = "needs root"]
fn uids_add_up_in_the_kernel_or_outside() {
    let cgroup = Cgroup::v2("uid");
    let as_user = |uid: &str| die(&["as", uid, "exit", "0"], &cgroup);
    let trace = Probe::trace(&["--cgroup", cgroup.path(), "--uid", "1001"]);
    as_user("1002");
    let last = as_user("1001");
    let told = until(trace, last);
    assert_eq!((pids(&told), told.seen), (vec![last], 1));

    let trace = Probe::trace(&["--cgroup", cgroup.path(), "--uid", "1001", "--uid", "0"]);
    as_user("1002");
    let expected = [as_user("1001"), as_user("0")];
    let told = until(trace, expected[1]);
    assert_eq!((pids(&told).as_slice(), told.seen), (&expected[..], 3));
}

#[test]
#[ignore = "needs root"]
fn ages_are_bounded_on_both_sides() {
    for cgroup in [Cgroup::v2("age"), Cgroup::v1("pids", "age")] {
        let mut old = [(); 2].map(|()| Victim::spawn(&["exit", "0"], Some(&cgroup)));
        let born = std::time::Instant::now();
        let young_only = Probe::trace(&["--max-age", "1s", "--cgroup", cgroup.path()]);
        let old_only = Probe::trace(&["--min-age", "1s", "--cgroup", cgroup.path()]);
        let neither = Probe::trace(&[
            "--min-age",
            "1h",
            "--max-age",
            "2h",
            "--cgroup",
            cgroup.path(),
        ]);
        let young = die(&["exit", "0"], &cgroup);
        probe_tests::Deadline::start()
            .until("a second has passed", || born.elapsed().as_millis() > 1001);
        for victim in &mut old {
            victim.release();
            victim.wait();
        }
        let last = die(&["exit", "0"], &cgroup);
        assert_eq!(pids(&until(young_only, last)), [young, last]);
        let expected = [old[0].pid(), old[1].pid()];
        assert_eq!(pids(&until(old_only, expected[1])), expected);
        assert_eq!(neither.finish().lines, [Value::Null; 0]);
    }
}

#[test]
#[ignore = "needs root"]
fn threads_are_shown_only_if_asked_for() {
    let cgroup = Cgroup::v2("threads");
    for threads in [false, true] {
        let mut crowd = Victim::spawn_as("crowd", &["1", "4", "0"], Some(&cgroup));
        let mut args = vec!["--cgroup", cgroup.path()];
        args.extend(threads.then_some("--threads"));
        let trace = Probe::trace(&args);
        crowd.release();
        assert_eq!(record::pid(&crowd.report()), crowd.pid());
        crowd.signal(Signal::KILL);
        crowd.wait();
        // Of two tasks that end at once the last one may be told first.
        let told = until(trace, die(&["exit", "0"], &cgroup));
        let of_group: Vec<_> = told
            .lines
            .iter()
            .filter(|line| line["pid"] == crowd.pid())
            .collect();
        let dead = of_group
            .iter()
            .filter(|line| line["group_dead"] == true)
            .count();
        let leaders = of_group
            .iter()
            .filter(|line| line["leader"] == true)
            .count();
        if threads {
            assert_eq!((of_group.len(), dead, leaders), (4, 1, 1), "{of_group:#?}");
        } else {
            assert_eq!((of_group.len(), dead), (1, 1), "{of_group:#?}");
        }
    }
}

/// `cause` of the start lines of the children of a process. Not of itself: its
/// exec races with its way into the cgroup.
fn starts_below(told: &Finished, parent: u32) -> Vec<&str> {
    let starts = told
        .lines
        .iter()
        .filter(|line| line["type"] == "start" && line["ppid"] == parent);
    starts
        .map(|line| line["cause"].as_str().expect("a word"))
        .collect()
}

#[test]
#[ignore = "needs root"]
fn starts_are_shown_with_their_arguments_and_only_if_asked_for() {
    let cgroup = Cgroup::v2("starts");
    let args = ["--cgroup", cgroup.path()];
    let (without, with) = (
        Probe::trace(&args),
        Probe::trace(&[&args[..], &["--starts"]].concat()),
    );
    let mut shell = shell_in(&cgroup, "sh -c 'exit 3' 'an argument' ''; :");
    shell.wait();
    let told = until(without, shell.pid());
    assert!(starts_below(&told, shell.pid()).is_empty(), "{told:#?}");
    let told = until(with, shell.pid());
    let exec = told
        .lines
        .iter()
        .find(|line| line["cause"] == "exec" && line["ppid"] == shell.pid())
        .unwrap_or_else(|| panic!("no exec in {told:#?}"));
    assert_eq!(
        exec["args"],
        serde_json::json!(["sh", "-c", "exit 3", "an argument", ""])
    );
    assert_eq!(starts_below(&told, shell.pid()), ["fork", "exec"]);
    let child = record::pid(exec);
    assert_eq!(told.exits_of(child).len(), 1);
}

/// A shell that runs a script inside the cgroup.
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
fn starts_are_limited_by_target_name_and_uid_but_not_by_how_things_end() {
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
        let told = trace.finish();
        assert_eq!(
            starts_below(&told, shell.pid()),
            ["fork", "exec"],
            "{told:#?}"
        );
        assert_eq!(told.exits().count(), 0, "{told:#?}");
    }
    assert_eq!(nameless.finish().lines, [Value::Null; 0]);
    assert_eq!(uidless.finish().lines, [Value::Null; 0]);
}

#[test]
#[ignore = "needs root"]
fn starts_in_a_v1_cgroup_are_shown() {
    let cgroup = Cgroup::v1("pids", "starts");
    let trace = Probe::trace(&["--starts", "--cgroup", cgroup.path()]);
    let mut shell = shell_in(&cgroup, "sh -c 'exit 0'; :");
    shell.wait();
    let told = until(trace, shell.pid());
    assert_eq!(
        starts_below(&told, shell.pid()),
        ["fork", "exec"],
        "{told:#?}"
    );
}
