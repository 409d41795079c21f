//! One record for each process, with the status that its parent receives.

use probe_tests::{TracedCgroup, Victim, record, scale, words};

/// Signals that do not end a process by default.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
/// Signals that dump core by default.
const DUMPING: [i32; 10] = [3, 4, 5, 6, 7, 8, 11, 24, 25, 31];

/// Runs one victim for each line of words, asserts that each is reported once with its status,
/// and returns the statuses.
fn run_all(label: &str, lines: impl IntoIterator<Item = String>) -> Vec<i32> {
    let traced = TracedCgroup::new(label);
    let run = |line: String| {
        let mut victim = traced.start(&words(&line));
        (victim.pid(), victim.wait())
    };
    let expected: Vec<_> = lines.into_iter().map(run).collect();
    let reported = traced.finish();
    for (pid, status) in &expected {
        assert_eq!(record::wait_status(reported.only_exit_of(*pid)), *status);
    }
    assert_eq!(reported.exits().count(), expected.len());
    assert_eq!(reported.lost, 0);
    expected.into_iter().map(|(_, status)| status).collect()
}

#[test]
#[ignore = "needs root"]
fn every_exit_code_is_reported() {
    let statuses = run_all("codes", (0..=255).map(|code| format!("exit {code}")));
    let expected: Vec<i32> = (0..=255).map(|code| code << 8).collect();
    assert_eq!(statuses, expected);
}

#[test]
#[ignore = "needs root"]
fn every_fatal_signal_is_reported() {
    let signals: Vec<i32> = (1..=64).filter(|it| !HARMLESS.contains(it)).collect();
    let lines = signals.iter().map(|signal| format!("signal {signal}"));
    let statuses = run_all("signals", lines);
    let without_core: Vec<i32> = statuses.iter().map(|status| status & !0x80).collect();
    assert_eq!(without_core, signals);
}

#[test]
#[ignore = "needs root"]
fn a_core_dump_is_reported_with_the_signal() {
    let directory = tempfile::tempdir().expect("a place for cores");
    let place = directory.path().display();
    let single = DUMPING.map(|signal| format!("core-in {place} signal {signal}"));
    let many = format!("core-in {place} threads 9 in-thread abort");
    let statuses = run_all("cores", single.into_iter().chain([many]));
    let dumped = statuses.iter().all(|status| status & 0x80 != 0);
    assert!(dumped, "this kernel writes no cores: {statuses:x?}");
}

#[test]
#[ignore = "needs root"]
fn a_child_of_vfork_is_reported_once() {
    let mut traced = TracedCgroup::new("vfork");
    let death = traced.run_parent(&["vfork", "6"]);
    assert_eq!(death.report["status"], 6 << 8);
    let reported = traced.finish();
    let _once = reported.only_exit_of(record::pid(&death.report));
    assert_eq!(reported.exits().count(), 2);
}

#[test]
#[ignore = "needs root"]
fn a_stopped_process_has_not_exited() {
    let mut traced = TracedCgroup::new("stopped");
    let mut victim = traced.ready(&["ready", "pause"]);
    victim.signal(rustix::process::Signal::STOP);
    victim.signal(rustix::process::Signal::CONT);
    victim.signal(rustix::process::Signal::STOP);
    traced.catch_up();
    assert_eq!(traced.probe.exits_so_far(victim.pid()), 0);
    victim.signal(rustix::process::Signal::KILL);
    let _exit = traced.reap(&mut victim);
    let _once = traced.finish().only_exit_of(victim.pid());
}

#[test]
#[ignore = "needs root"]
fn a_process_killed_while_it_starts_is_reported_once() {
    let seed = probe_tests::random::seeded().u64(..).to_string();
    let count = scale::emulated_or(50, 500);
    let traced = TracedCgroup::new("births");
    let mut parent = traced.start(&["births", &seed, &count.to_string()]);
    let reports = parent.reports();
    assert_eq!(parent.wait(), 0);
    let reported = traced.finish();
    assert_eq!(reports.len(), count);
    // A pid may have been reused.
    let mut expected: Vec<_> = reports
        .iter()
        .map(|it| (record::pid(it), it["status"].as_i64()))
        .collect();
    let mut reported_statuses: Vec<_> = reported
        .exits()
        .map(|it| (record::pid(it), Some(i64::from(record::wait_status(it)))))
        .filter(|&(pid, _)| pid != parent.pid())
        .collect();
    expected.sort_unstable();
    reported_statuses.sort_unstable();
    assert_eq!(reported_statuses, expected);
    assert_eq!(reported.lost, 0);
}

#[test]
#[ignore = "needs root"]
fn exits_before_the_trace_are_not_reported() {
    let cgroup = probe_tests::Cgroup::v2("before");
    let mut early = Victim::start(&["exit", "1"], Some(&cgroup));
    early.wait();
    let mut probe = probe_tests::Probe::trace(&["--cgroup", cgroup.path()]);
    let mut late = Victim::start(&["exit", "2"], Some(&cgroup));
    late.wait();
    probe.exit_of(late.pid());
    let reported = probe.finish();
    assert_eq!((reported.seen, reported.shown, reported.lost), (1, 1, 0));
}
