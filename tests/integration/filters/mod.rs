//! Targets and conditions of `probe trace`. Each test has an exit that must be reported, one that
//! must not, and a last one that must, so that the test can wait for it.

mod conditions;
mod starts;

use probe_tests::{Cgroup, Daemon, Finished, Probe, ReusedPid, Victim, kernel, probe, record};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

/// Starts and reaps a victim; returns its pid.
fn die(args: &[&str], cgroup: &Cgroup) -> u32 {
    let mut victim = Victim::start(args, Some(cgroup));
    victim.wait();
    victim.pid()
}

fn pids(reported: &Finished) -> Vec<u32> {
    reported.exits().map(record::pid).collect()
}

/// Ends the trace after the exit record of this process.
fn until(mut trace: Probe, last: u32) -> Finished {
    trace.exit_of(last);
    trace.finish()
}

/// Ends a trace that prints nothing, and asserts that it has seen this many records.
fn seen_in_the_end(trace: Probe, least: u64) -> Finished {
    // The last drain comes after the signal, so no record is missing.
    let reported = trace.finish();
    assert!(reported.seen >= least, "{reported:#?}");
    reported
}

#[test]
#[ignore = "needs root"]
fn a_v2_cgroup_is_traced_with_cgroups_made_below_it_later() {
    let wanted = Cgroup::v2("wanted");
    let before = wanted.sub("before");
    let other = Cgroup::v2("other");
    let trace = Probe::trace(&["--cgroup", wanted.path()]);
    let after = wanted.sub("after");
    let deep = after.sub("deep");
    die(&["exit", "1"], &other);
    let expected = [&wanted, &before, &after, &deep].map(|cgroup| die(&["exit", "0"], cgroup));
    let reported = until(trace, expected[3]);
    assert_eq!(pids(&reported), expected);
    let path = |index: usize| reported.lines[index]["cgroup"]["path"].clone();
    assert_eq!(path(2), after.name());
    assert_eq!(path(3), deep.name());
    assert_eq!(reported.seen, 4, "the BPF programs filter the others");
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_whose_name_has_the_target_as_prefix_is_not_traced() {
    for parent in [Cgroup::v2("names"), Cgroup::v1("pids", "names")] {
        let (wanted, other) = (parent.sub("a"), parent.sub("ab"));
        let trace = Probe::trace(&["--cgroup", wanted.path()]);
        die(&["exit", "0"], &other);
        let last = die(&["exit", "0"], &wanted);
        assert_eq!(pids(&until(trace, last)), [last], "{}", parent.path());
    }
}

#[test]
#[ignore = "needs root"]
fn every_form_of_a_cgroup_name_in_the_help_is_accepted() {
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
fn a_v1_cgroup_is_traced_when_the_record_names_the_v2_cgroup() {
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
    let reported = until(trace, last);
    assert_eq!(pids(&reported), [both.pid(), last]);
    // A record has the v2 cgroup, even if the target is a v1 cgroup.
    assert_eq!(reported.lines[0]["cgroup"]["path"], v2.name());
}

#[test]
#[ignore = "needs root"]
fn exits_are_traced_in_more_cgroups_than_the_bpf_programs_have_slots_for() {
    let other = Cgroup::v2("other");
    // 70 cgroups exceed the slots of the BPF programs, so that userspace filters.
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
fn exits_of_a_v2_or_a_v1_cgroup_are_traced() {
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
    // The third cgroup is in the hierarchy of the first.
    let targets = [&one, &two, &one].map(|it| ["--cgroup", it.path()]);
    let args = [&["trace"], targets.as_flattened()].concat();
    probe(&args).assert_refused(2, &["hint: "]);
    let same = one.sub("below");
    let trace = Probe::trace(&["--cgroup", one.path(), "--cgroup", same.path()]);
    let last = die(&["exit", "0"], &same);
    assert_eq!(pids(&until(trace, last)), [last]);
}

#[test]
#[ignore = "needs root"]
fn exits_of_several_pids_are_traced() {
    let cgroup = Cgroup::v2("pids");
    let mut victims = [(); 3].map(|()| Victim::spawn(&["exit", "0"], Some(&cgroup)));
    let wanted = [victims[0].pid(), victims[2].pid()];
    let args = wanted.map(|pid| pid.to_string());
    let trace = Probe::trace(&["--pid", &args[0], "--pid", &args[1]]);
    for victim in &mut victims {
        victim.release();
        victim.wait();
    }
    // The trace ends with the processes.
    let reported = trace.finish_by_itself();
    assert_eq!(pids(&reported), wanted);
    assert_eq!(reported.seen, 2, "the BPF programs filter the others");
}

#[test]
#[ignore = "needs root"]
fn a_trace_of_a_process_ends_with_it_and_ignores_the_next_owner_of_its_pid() {
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().to_str().expect("text");
    for socket in ["/no/such/socket", socket] {
        let (mut replaced, pid) = ReusedPid::start();
        let trace = Probe::trace(&["--pid", &pid.to_string(), "--socket", socket]);
        // A stopped trace sees both processes at once.
        trace.stop();
        replaced.replace();
        drop(replaced);
        trace.resume();
        let reported = trace.finish_by_itself();
        assert_eq!(pids(&reported), [pid], "{:#?}", reported.lines);
        assert_eq!(reported.lines[0]["status"]["signal"], "SIGKILL");
    }
}

#[test]
#[ignore = "needs root"]
fn a_trace_takes_a_pid_with_the_inode_number_of_its_pidfd() {
    let mut victim = Victim::spawn(&["exit", "0"], None);
    let pid = victim.pid();
    if !kernel::has_pidfd_inodes() {
        kernel::inapplicable("pidfds have no inode numbers of their own");
    }
    let number = Pid::from_raw(pid.cast_signed()).expect("not 0");
    let pidfd = pidfd_open(number, PidfdFlags::empty()).expect("the process exists");
    let inode = rustix::fs::fstat(&pidfd).expect("an open file").st_ino;
    let other = format!("{pid}:{}", inode + 1);
    probe(&["trace", "--pid", &other]).assert_refused(4, &["is gone"]);
    let trace = Probe::trace(&["--pid", &format!("{pid}:{inode}")]);
    victim.release();
    victim.wait();
    assert_eq!(pids(&trace.finish_by_itself()), [pid]);
}

#[test]
#[ignore = "needs root"]
fn exits_of_a_cgroup_or_a_pid_are_traced() {
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
fn any_of_several_globs_matches_a_name() {
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
    // No record matches. The summary counts both.
    assert_eq!(seen_in_the_end(trace, 2).lines, [Value::Null; 0]);
}

#[test]
#[ignore = "needs root"]
fn threads_are_reported_only_if_requested() {
    let cgroup = Cgroup::v2("threads");
    for threads in [false, true] {
        let mut crowd = Victim::spawn(&["crowd", "1", "4", "0"], Some(&cgroup));
        let mut args = vec!["--cgroup", cgroup.path()];
        args.extend(threads.then_some("--threads"));
        let trace = Probe::trace(&args);
        crowd.release();
        assert_eq!(record::pid(&crowd.report()), crowd.pid());
        crowd.kill();
        // Records of tasks that exit at the same time may be in any order.
        let reported = until(trace, die(&["exit", "0"], &cgroup));
        let of_group: Vec<_> = reported
            .lines
            .iter()
            .filter(|line| line["pid"] == crowd.pid())
            .collect();
        let count = |field: &str| of_group.iter().filter(|line| line[field] == true).count();
        let (dead, leaders) = (count("group_dead"), count("leader"));
        if threads {
            assert_eq!((of_group.len(), dead, leaders), (4, 1, 1), "{of_group:#?}");
        } else {
            assert_eq!((of_group.len(), dead), (1, 1), "{of_group:#?}");
        }
    }
}
