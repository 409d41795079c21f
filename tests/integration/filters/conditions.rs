//! Conditions on the status, the uid and the age.

use probe_tests::{Cgroup, Probe, Victim, words};
use rustix::process::Signal;
use serde_json::Value;

use super::{die, pids, until};

/// Asserts that exits of the victims `passing` are reported, and those of `others` are not.
fn assert_condition(args: &[&str], passing: &[&[&str]], others: &[&[&str]]) {
    // The BPF programs filter v2 cgroups, and userspace filters v1 cgroups.
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
        let reported = until(trace, *expected.last().expect("one passes"));
        assert_eq!(pids(&reported), expected, "{args:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_failed_filter_rejects_exit_code_0() {
    assert_condition(
        &["--failed"],
        &[&["exit", "1"], &["signal", "9"], &["exit", "255"]],
        &[&["exit", "0"]],
    );
}

#[test]
#[ignore = "needs root"]
fn the_signaled_filter_accepts_only_signals() {
    assert_condition(
        &["--signaled"],
        &[&["signal", "15"], &["signal", "9"]],
        &[&["exit", "0"], &["exit", "9"]],
    );
}

#[test]
#[ignore = "needs root"]
fn several_conditions_must_all_hold() {
    assert_condition(
        &words("--failed --signaled --comm victim --uid 0 --max-age 1h"),
        &[&["signal", "15"]],
        &[&["exit", "9"]],
    );
}

#[test]
#[ignore = "needs root"]
fn the_oom_filter_rejects_other_kills() {
    let cgroup = Cgroup::with_memory(16 << 20, "oom");
    let trace = Probe::trace(&["--oom", "--cgroup", cgroup.path()]);
    die(&["signal", "9"], &cgroup);
    let mut eater = Victim::start(&["eat"], Some(&cgroup));
    assert_eq!(eater.wait(), Signal::KILL.as_raw());
    let reported = until(trace, eater.pid());
    assert_eq!(pids(&reported), [eater.pid()]);
    assert_eq!(reported.lines[0]["oom"], true);
}

#[test]
#[ignore = "needs root"]
fn exits_of_several_uids_are_traced() {
    let cgroup = Cgroup::v2("uid");
    let as_user = |uid: &str| die(&["as", uid, "exit", "0"], &cgroup);
    let trace = Probe::trace(&["--cgroup", cgroup.path(), "--uid", "1001"]);
    as_user("1002");
    let last = as_user("1001");
    let reported = until(trace, last);
    assert_eq!((pids(&reported), reported.seen), (vec![last], 1));

    let trace = Probe::trace(&["--cgroup", cgroup.path(), "--uid", "1001", "--uid", "0"]);
    as_user("1002");
    let expected = [as_user("1001"), as_user("0")];
    let reported = until(trace, expected[1]);
    assert_eq!(
        (pids(&reported).as_slice(), reported.seen),
        (&expected[..], 3)
    );
}

#[test]
#[ignore = "needs root"]
fn exits_are_filtered_by_minimum_and_maximum_age() {
    for cgroup in [Cgroup::v2("age"), Cgroup::v1("pids", "age")] {
        let mut old = [(); 2].map(|()| Victim::spawn(&["exit", "0"], Some(&cgroup)));
        let born = std::time::Instant::now();
        let young_only = Probe::trace(&["--max-age", "1s", "--cgroup", cgroup.path()]);
        let old_only = Probe::trace(&["--min-age", "1s", "--cgroup", cgroup.path()]);
        let ages = ["--min-age", "1h", "--max-age", "2h"];
        let neither = Probe::trace(&[&ages[..], &["--cgroup", cgroup.path()]].concat());
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
