//! Words that attach a tracer to the process that executes the remaining words.

use std::{fs, path::Path};

use probe_tests::boottime_ns;
use serde_json::json;

use crate::{
    Words, act as act_on,
    change::become_reaper,
    number,
    relatives::{Gate, child, report_child},
    report,
    sys::{process, signal, trace},
};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        ["tracer-kills", ref rest @ ..] => tracer(rest, trace::kill),
        ["tracer-exits", ref rest @ ..] => tracer_exits(rest),
        // The tracee sends itself a signal, and the tracer replaces it by another one.
        ["tracer-swaps", signal, ref rest @ ..] => {
            let signal = number(signal);
            tracer(rest, |tracee| {
                let stopped = process::wait(tracee);
                assert_eq!(stopped.status & 0xff, 0x7f, "not stopped");
                trace::resume_with(tracee, signal);
            });
        }
        // The tracer moves the tracee into a cgroup and kills the cgroup.
        ["tracer-kills-cgroup", directory, ref rest @ ..] => tracer(rest, |tracee| {
            let write = |name: &str, what: &str| {
                let file = Path::new(directory).join(name);
                fs::write(file, what).expect("a v2 cgroup");
            };
            write("cgroup.procs", &tracee.to_string());
            write("cgroup.kill", "1");
        }),
        // Another process sends the tracee a signal, which the tracer suppresses. Then the
        // tracer puts the same signal in place of a SIGSTOP.
        ["tracer-suppresses", signal, ref rest @ ..] => {
            let signal = number(signal);
            tracer(rest, |tracee| {
                let sender = process::fork().unwrap_or_else(|| {
                    signal::kill(tracee, signal);
                    process::exit(0);
                });
                process::wait(sender);
                process::wait(tracee);
                trace::resume_with(tracee, 0);
                signal::kill(tracee, libc::SIGSTOP);
                process::wait(tracee);
                trace::resume_with(tracee, signal);
            });
        }
        _ => {}
    }
}

fn tracer(rest: Words, then: impl FnOnce(i32)) -> ! {
    let mut gate = Gate::new();
    let tracee = process::fork().unwrap_or_else(|| {
        gate.pass();
        act_on(rest);
    });
    let forked_ns = [0, boottime_ns()];
    trace::seize(tracee, 0);
    gate.open();
    then(tracee);
    report_child(&process::wait(tracee), forked_ns);
    process::exit(0);
}

/// The tracer exits, and the kernel kills its tracee. This process reaps both.
fn tracer_exits(rest: Words) -> ! {
    become_reaper();
    let tracer = process::fork().unwrap_or_else(|| {
        let tracee = child(rest);
        trace::seize(tracee, libc::PTRACE_O_EXITKILL);
        process::exit(0);
    });
    let forked_ns = [0, boottime_ns()];
    report(&json!({"tracer": tracer}));
    let mut reaped = process::wait(-1);
    if reaped.pid == tracer {
        reaped = process::wait(-1);
    }
    report_child(&reaped, forked_ns);
    process::exit(0);
}
