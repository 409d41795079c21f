//! Races in which a program that waits for processes is wrong, late or hangs: one test
//! each, which fails without the code that prevents the race.
//!
//! Changes that are part of normal use, such as a child cgroup created during the wait, are
//! in `wait`.

mod bpf_failure;
mod cgroups;
mod library;
mod migrants;
mod notifications;
mod processes;
mod zombies;

use std::{panic, thread};

use probe_tests::{
    Deadline, Output, Waiting,
    conditions::{BACKENDS, Condition},
    probe, record, state,
};
use serde_json::Value;

/// Runs a test under each condition, in parallel because a timeout has to pass in each.
fn in_each_condition(run: impl Fn(&str, Condition) + Sync) {
    let run = &run;
    thread::scope(|scope| {
        let running =
            BACKENDS.map(|(backend, condition)| scope.spawn(move || run(backend, condition)));
        for thread in running {
            if let Err(what) = thread.join() {
                panic::resume_unwind(what);
            }
        }
    });
}

/// An armed wait.
fn armed(condition: Condition, args: &[&str]) -> Waiting {
    Waiting::armed_in(&mut condition(&Waiting::args(args)))
}

/// The last line of a wait that ended with this outcome.
fn verdict(output: &Output, outcome: &str) -> Value {
    let verdict = output.verdict(outcome);
    assert_eq!(verdict["type"], "wait", "{output:#?}");
    verdict
}

/// The survivors of a `probe wait` that looks once.
fn survivors(args: &[&str]) -> Vec<u32> {
    let output = probe(&[&["wait", "--json", "-t", "0"], args].concat());
    pids(&verdict(&output, "timeout")["survivors"])
}

/// The pids of survivors or migrants.
fn pids(list: &Value) -> Vec<u32> {
    let list = list.as_array();
    let list = list.unwrap_or_else(|| panic!("no list of processes"));
    list.iter().map(record::pid).collect()
}

fn until_state(pid: u32, wanted: char) {
    let what = format!("{pid} is {wanted}");
    Deadline::start().until(&what, || state(pid) == Some(wanted));
}
