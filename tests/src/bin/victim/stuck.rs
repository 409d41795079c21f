//! Words for processes that SIGKILL does not end at once. Each reports the pid of the process
//! when it is stuck.

use std::fs;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::json;

use crate::{
    Words,
    relatives::Gate,
    report,
    sys::{process, signal, trace},
    threads::{self, idle},
};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    let pid = match *words {
        ["in-vfork"] => return in_vfork(),
        ["reading", path] => return reading(path),
        ["traced-zombie"] => traced_zombie(),
        ["zombie"] => zombie(),
        ["traced"] => traced(),
        _ => return,
    };
    report(&json!({"pid": pid}));
    idle();
}

/// The kernel keeps this process in state D until its child exits or executes a program. The
/// child does neither.
fn in_vfork() {
    let leader = process::getpid();
    threads::spawn(move || {
        threads::wait_for_state(leader, 'D');
        report(&json!({"pid": leader}));
    });
    process::vfork_and_pause();
}

/// Another thread reads a file that does not answer, and the leader sleeps.
fn reading(path: &'static str) {
    threads::spawn(move || {
        report(&json!({"pid": process::getpid(), "tid": process::gettid()}));
        let read = fs::read(path);
        panic!("the file answers: {read:?}");
    });
    idle();
}

/// Makes a child that has exited, and a tracer that does not wait for it: this process cannot
/// reap the child.
fn traced_zombie() -> ! {
    let mut exits = Gate::new();
    let child = process::fork().unwrap_or_else(|| {
        exits.pass();
        process::exit(0);
    });
    let tracer = process::fork().unwrap_or_else(|| {
        trace::seize(child, 0);
        exits.open();
        idle();
    });
    probe_tests::wait_for_state(child.cast_unsigned(), 'Z');
    report(&json!({"pid": child, "tracer": tracer}));
    idle();
}

/// Makes a child that has exited and is not reaped.
fn zombie() -> i32 {
    let child = process::fork().unwrap_or_else(|| process::exit(0));
    wait_for(child, WaitIdOptions::EXITED);
    child
}

/// Makes a child that is traced and stopped.
fn traced() -> i32 {
    let mut gate = Gate::new();
    let child = process::fork().unwrap_or_else(|| {
        gate.pass();
        signal::raise(libc::SIGSTOP);
        idle();
    });
    trace::seize(child, 0);
    gate.open();
    wait_for(child, WaitIdOptions::STOPPED);
    child
}

fn wait_for(child: i32, options: WaitIdOptions) {
    let child = Pid::from_raw(child).expect("not 0");
    waitid(WaitId::Pid(child), options | WaitIdOptions::NOWAIT).expect("our child");
}
