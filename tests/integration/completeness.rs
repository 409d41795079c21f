//! Many deaths: none missing, none told twice, none told wrong.

use std::collections::HashMap;

use probe_tests::{TracedCgroup, random, record, scale};
use serde_json::{Value, json};

#[test]
#[ignore = "needs root"]
fn the_status_of_10000_random_exits_is_what_waitpid_reports() {
    let all = scale::emulated_or(500, 10_000);
    let seed = random::seeded().u64(..).to_string();
    let trial = TracedCgroup::new("deaths");
    let mut parent = trial.start(&["deaths", &seed, &all.to_string()]);
    let reports = parent.reports();
    assert_eq!(parent.wait(), 0);
    let told = trial.finish();
    assert_eq!(reports.len(), all);
    assert_eq!(told.lost, 0);
    // Pids come again, but those of one pid die one after the other.
    let mut statuses: HashMap<u32, Vec<i32>> = HashMap::new();
    for exit in told.exits() {
        let status = record::wait_status(exit);
        statuses.entry(record::pid(exit)).or_default().push(status);
    }
    assert_eq!(statuses.remove(&parent.pid()), Some(vec![0]));
    let mut judged: HashMap<u32, Vec<i32>> = HashMap::new();
    for report in &reports {
        let status = i32::try_from(report["status"].as_i64().expect("a number"));
        let status = status.expect("a wait status");
        judged.entry(record::pid(report)).or_default().push(status);
    }
    // Who dies of a signal here was hit by itself or by its parent.
    for exit in told.exits() {
        let killer = &exit["killed_by"]["pid"];
        if exit["status"]["kind"] == "exited" {
            assert_eq!(exit["killed_by"], Value::Null, "{exit}");
        } else {
            assert!([&exit["pid"], &exit["ppid"]].contains(&killer), "{exit}");
        }
    }
    let differing = reports
        .iter()
        .filter(|report| statuses.get(&record::pid(report)) != judged.get(&record::pid(report)));
    assert_eq!(differing.collect::<Vec<_>>(), Vec::<&Value>::new());
    assert_eq!(statuses.len(), judged.len());
}

#[test]
#[ignore = "needs root"]
fn in_200_runs_of_150_processes_killed_at_once_each_is_reported_once() {
    const PROCESSES: usize = 150;
    let all_runs = scale::emulated_or(5, scale::rounds(200));
    let mut trial = TracedCgroup::new("swarm");
    let (runs, processes) = (all_runs.to_string(), PROCESSES.to_string());
    let words = ["swarm", trial.cgroup.path(), &runs, &processes, "9"];
    let parent = probe_tests::Victim::start(&words, None);
    for run in 0..all_runs {
        let report = parent.report();
        let mut judged: Vec<Value> = report.as_array().expect("a list").clone();
        // All of a run are reaped before the next one begins, so their records
        // come before those of the next.
        let mut told: Vec<Value> = (0..PROCESSES)
            .map(|_| trial.probe.next())
            .map(|exit| json!([exit["pid"], record::wait_status(&exit)]))
            .collect();
        judged.sort_by_key(|it| it[0].as_u64());
        told.sort_by_key(|it| it[0].as_u64());
        assert_eq!(told, judged, "in run {run}");
        assert!(judged.iter().all(|it| it[1] == 9), "in run {run}");
    }
    let via = trial.cgroup.killed_via();
    let told = trial.finish();
    assert_eq!(told.lines.len(), all_runs * PROCESSES);
    assert_eq!(told.lost, 0);
    for exit in &told.lines {
        let killed_by = &exit["killed_by"];
        assert_eq!(killed_by["pid"], parent.pid(), "{exit}");
        assert_eq!(killed_by["via"], via, "{exit}");
    }
}
