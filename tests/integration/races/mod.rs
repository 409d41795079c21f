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

use std::{fs, panic, thread};

use probe_tests::{
    Cgroup, Deadline, Output, Victim, Waiting,
    conditions::{BACKENDS, Condition},
    probe, record,
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

/// The last line, of an output that ended so.
fn verdict(output: &Output, code: i32, outcome: &str) -> Value {
    assert_eq!(output.code, Some(code), "{output:#?}");
    let verdict = output.json().pop();
    let verdict = verdict.unwrap_or_else(|| panic!("no verdict in {output:#?}"));
    assert_eq!(verdict["type"], "wait", "{output:#?}");
    assert_eq!(verdict["outcome"], outcome, "{output:#?}");
    verdict
}

/// `probe wait` that looks once, and whom it finds alive.
fn looked(args: &[&str]) -> Vec<u32> {
    let output = probe(&[&["wait", "--json", "-t", "0"], args].concat());
    pids(&verdict(&output, 3, "timeout")["survivors"])
}

/// Of survivors or migrants.
fn pids(list: &Value) -> Vec<u32> {
    let list = list.as_array();
    let list = list.unwrap_or_else(|| panic!("no list of processes"));
    list.iter().map(record::pid).collect()
}

/// A crowd that is ready.
fn crowd(args: &[&str], cgroup: &Cgroup) -> (Victim, u32) {
    let mut crowd = Victim::spawn_as("crowd", args, Some(cgroup));
    crowd.release();
    let pid = record::pid(&crowd.report());
    (crowd, pid)
}

/// The letter of its state; `None` if nobody has the pid.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn until_state(pid: u32, wanted: char) {
    let what = format!("{pid} is {wanted}");
    Deadline::start().until(&what, || state(pid) == Some(wanted));
}

/// Returns once the notification of the freezing is out: the next one comes
/// 10 ms later at the earliest.
fn freeze(cgroup: &Cgroup) {
    cgroup.write("cgroup.freeze", "1");
    Deadline::start().until("it is frozen", || {
        let events = fs::read_to_string(cgroup.file("cgroup.events"));
        events.expect("v2 has it").contains("frozen 1")
    });
}
