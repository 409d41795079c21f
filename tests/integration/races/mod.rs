//! Races in which a program that waits for processes is wrong, late or hangs: one test
//! each, which fails without the code that prevents the race.
//!
//! Changes that are part of normal use, such as a child cgroup created during the wait, are
//! in `wait`.

mod bpf_failure;
mod cgroups;
mod migrants;
mod notifications;
mod processes;
mod zombies;

use std::thread;

use probe_tests::{
    Output, Waiting,
    conditions::{BACKENDS, Condition},
    run, sorted_pids,
};
use serde_json::Value;

/// Runs a test under each condition, in parallel because a timeout has to pass in each.
fn in_each_condition(run: impl Fn(&str, Condition) + Sync) {
    let run = &run;
    thread::scope(|scope| {
        for (backend, condition) in BACKENDS {
            scope.spawn(move || run(backend, condition));
        }
    });
}

/// The last line of a wait that ended with this outcome.
fn verdict(output: &Output, outcome: &str) -> Value {
    let verdict = output.verdict(outcome);
    assert_eq!(verdict["type"], "wait", "{output:#?}");
    verdict
}

/// The verdict of a wait that is done.
fn done(waiting: Waiting) -> Value {
    verdict(&waiting.finish(), "done")
}

/// The survivors of a `probe wait` for this target that looks once.
fn survivors(target: &str) -> Vec<u32> {
    let output = run(&format!("wait --json -t 0 {target}"));
    sorted_pids(&verdict(&output, "timeout")["survivors"])
}
