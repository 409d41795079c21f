//! Many exits: each is reported once, with the right status.

use std::collections::HashMap;

use probe_tests::{TracedCgroup, random, record, scale};
use serde_json::{Value, json};

#[test]
#[ignore = "needs root"]
fn the_status_of_10000_random_exits_is_what_waitpid_reports() {
    let all = scale::emulated_or(500, 10_000);
    let seed = random::seeded().u64(..).to_string();
    let traced = TracedCgroup::new("deaths");
    let mut parent = traced.start(&["deaths", &seed, &all.to_string()]);
    let reports = parent.reports();
    assert_eq!(parent.wait(), 0);
    let reported = traced.finish();
    assert_eq!(reports.len(), all);
    assert_eq!(reported.lost, 0);
    // Pids are reused, but processes with one pid die one after the other.
    let mut statuses: HashMap<u32, Vec<i32>> = HashMap::new();
    for exit in reported.exits() {
        let status = record::wait_status(exit);
        statuses.entry(record::pid(exit)).or_default().push(status);
    }
    assert_eq!(statuses.remove(&parent.pid()), Some(vec![0]));
    let mut expected: HashMap<u32, Vec<i32>> = HashMap::new();
    for report in &reports {
        let status = i32::try_from(report["status"].as_i64().expect("a number"));
        let status = status.expect("a wait status");
        expected
            .entry(record::pid(report))
            .or_default()
            .push(status);
    }
    // A process kills itself or is killed by its parent.
    for exit in reported.exits() {
        let killer = &exit["killed_by"]["pid"];
        if exit["status"]["kind"] == "exited" {
            assert_eq!(exit["killed_by"], Value::Null, "{exit}");
        } else {
            assert!([&exit["pid"], &exit["ppid"]].contains(&killer), "{exit}");
        }
    }
    let differing = reports
        .iter()
        .filter(|report| statuses.get(&record::pid(report)) != expected.get(&record::pid(report)));
    assert_eq!(differing.collect::<Vec<_>>(), Vec::<&Value>::new());
    assert_eq!(statuses.len(), expected.len());
}

#[test]
#[ignore = "needs root"]
fn in_200_runs_of_150_processes_killed_at_once_each_is_reported_once() {
    const PROCESSES: usize = 150;
    let all_runs = scale::emulated_or(5, scale::rounds(200));
    let mut traced = TracedCgroup::new("swarm");
    let (runs, processes) = (all_runs.to_string(), PROCESSES.to_string());
    let words = ["swarm", traced.cgroup.path(), &runs, &processes, "9"];
    let parent = probe_tests::Victim::start(&words, None);
    for run in 0..all_runs {
        let report = parent.report();
        let mut expected: Vec<Value> = report.as_array().expect("a list").clone();
        // All processes of a run are reaped before the next run, so their records come first.
        let mut reported: Vec<Value> = (0..PROCESSES)
            .map(|_| traced.probe.next())
            .map(|exit| json!([exit["pid"], record::wait_status(&exit)]))
            .collect();
        expected.sort_by_key(|it| it[0].as_u64());
        reported.sort_by_key(|it| it[0].as_u64());
        assert_eq!(reported, expected, "in run {run}");
        assert!(expected.iter().all(|it| it[1] == 9), "in run {run}");
    }
    let via = traced.cgroup.killed_via();
    let reported = traced.finish();
    assert_eq!(reported.lines.len(), all_runs * PROCESSES);
    assert_eq!(reported.lost, 0);
    for exit in &reported.lines {
        let killed_by = &exit["killed_by"];
        assert_eq!(killed_by["pid"], parent.pid(), "{exit}");
        assert_eq!(killed_by["via"], via, "{exit}");
    }
}
