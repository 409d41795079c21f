//! The cases in which those who wait for processes are wrong, late, or wait for
//! ever: one test each, that fails when what prevents it is taken out.
//!
//! What is already a matter of plain use, such as a cgroup made below during the
//! wait, is in `wait`.

mod broken;
mod cgroups;
mod leftovers;
mod library;
mod migrants;
mod notifications;
mod processes;

use std::{panic, thread};

use probe_tests::{
    Deadline, Output, Waiting,
    conditions::{BACKENDS, Condition},
    probe, record, state,
};
use serde_json::Value;

/// Side by side, for what has to let a limit pass.
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

/// A wait that is armed.
fn armed(condition: Condition, args: &[&str]) -> Waiting {
    Waiting::armed_in(&mut condition(&Waiting::args(args)))
}

/// The last line of a wait, of an output that ended so.
fn verdict(output: &Output, outcome: &str) -> Value {
    let verdict = output.verdict(outcome);
    assert_eq!(verdict["type"], "wait", "{output:#?}");
    verdict
}

/// `probe wait` that looks once, and whom it finds alive.
fn looked(args: &[&str]) -> Vec<u32> {
    let output = probe(&[&["wait", "--json", "-t", "0"], args].concat());
    pids(&verdict(&output, "timeout")["survivors"])
}

/// Of survivors or migrants.
fn pids(list: &Value) -> Vec<u32> {
    let list = list.as_array();
    let list = list.unwrap_or_else(|| panic!("no list of processes"));
    list.iter().map(record::pid).collect()
}

fn until_state(pid: u32, wanted: char) {
    let what = format!("{pid} is {wanted}");
    Deadline::start().until(&what, || state(pid) == Some(wanted));
}
