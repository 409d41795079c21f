//! Words that add a parent or other relatives to the process that executes the remaining words.
//! The parent reports.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write},
};

use probe_tests::boottime_ns;
use rustix::process::{Signal, ioctl_tiocsctty, set_parent_process_death_signal, setsid};
use serde_json::json;

use crate::{
    Words, act as act_on, change, number, report,
    sys::{
        process::{self, Reaped, Stack},
        signal,
    },
};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        ["parent", ref rest @ ..] => parent(rest, |_| {}),
        ["parent-kills", signal, ref rest @ ..] => {
            let signal = number(signal);
            parent(rest, |child| signal::kill(child, signal));
        }
        ["pid-namespace", ref rest @ ..] => {
            process::unshare(libc::CLONE_NEWPID);
            parent(rest, |_| {});
        }
        ["vfork", code] => vfork(number(code)),
        ["double-fork", ref rest @ ..] => double_fork(rest),
        ["parent-dies", signal, ref rest @ ..] => parent_dies(number(signal), rest),
        ["siblings", count, ref rest @ ..] => siblings(number(count), rest),
        ["born-into", directory] => born_into(directory),
        ["sharing-memory", ref rest @ ..] => {
            report(&json!({"pid": process::clone_sharing_and_pause()}));
            act_on(rest);
        }
        ["terminal", end, ref rest @ ..] => terminal(end, rest),
        _ => {}
    }
}

/// A pipe on which a relative waits.
pub(crate) struct Gate(PipeReader, PipeWriter);

impl Gate {
    pub(crate) fn new() -> Self {
        let (reader, writer) = io::pipe().expect("the kernel makes a pipe");
        Self(reader, writer)
    }

    pub(crate) fn open(&mut self) {
        self.1
            .write_all(b"\n")
            .expect("a relative holds the other end");
    }

    /// Blocks until the gate is opened; each opening lets one process pass.
    pub(crate) fn pass(&mut self) {
        self.0
            .read_exact(&mut [0])
            .expect("a relative opens the gate");
    }
}

/// Makes a child that executes the remaining words.
pub(crate) fn child(rest: Words) -> i32 {
    process::fork().unwrap_or_else(|| act_on(rest))
}

fn parent(rest: Words, then: impl FnOnce(i32)) -> ! {
    let before_ns = boottime_ns();
    let child = child(rest);
    let after_ns = boottime_ns();
    then(child);
    let reaped = process::wait(child);
    report_child(&reaped, [before_ns, after_ns]);
    process::exit(0);
}

/// Reports a reaped child.
pub(crate) fn report_child(reaped: &Reaped, forked_ns: [u64; 2]) {
    report(&json!({
        "pid": reaped.pid,
        "status": reaped.status,
        "parent": process::getpid(),
        "forked_ns": forked_ns,
        "reaped_ns": boottime_ns(),
        "user_us": u64::try_from(reaped.user.as_micros()).expect("a short life"),
        "system_us": u64::try_from(reaped.system.as_micros()).expect("a short life"),
        "max_rss_kib": reaped.max_rss_kib,
    }));
}

fn vfork(code: i32) -> ! {
    let before_ns = boottime_ns();
    let child = process::vfork_and_exit(&mut Stack::new(), code);
    let forked_ns = [before_ns, boottime_ns()];
    report_child(&process::wait(child), forked_ns);
    process::exit(0);
}

/// Makes a grandchild that continues when its parent has been reaped.
fn double_fork(rest: Words) -> ! {
    change::become_reaper();
    let mut gate = Gate::new();
    let middle = process::fork().unwrap_or_else(|| {
        if process::fork().is_none() {
            gate.pass();
            act_on(rest);
        }
        process::exit(0);
    });
    let forked_ns = [0, boottime_ns()];
    process::wait(middle);
    gate.open();
    report_child(&process::wait(-1), forked_ns);
    process::exit(0);
}

/// Makes a grandchild with a parent death signal, and ends its parent.
fn parent_dies(signal: i32, rest: Words) -> ! {
    change::become_reaper();
    let middle = process::fork().unwrap_or_else(|| {
        let mut gate = Gate::new();
        if process::fork().is_none() {
            let signal = Signal::from_named_raw(signal).expect("a signal with a name");
            set_parent_process_death_signal(Some(signal)).expect("every process may do this");
            gate.open();
            act_on(rest);
        }
        gate.pass();
        process::exit(0);
    });
    let forked_ns = [0, boottime_ns()];
    process::wait(middle);
    report_child(&process::wait(-1), forked_ns);
    process::exit(0);
}

/// Makes children that sleep, then executes the remaining words.
fn siblings(count: u32, rest: Words) -> ! {
    for _ in 0..count {
        child(&["pause"]);
    }
    act_on(rest);
}

/// Makes a child in another cgroup.
fn born_into(directory: &str) -> ! {
    let directory = File::open(directory).expect("a v2 cgroup");
    let before_ns = boottime_ns();
    let child = process::fork_into(&directory).unwrap_or_else(|| process::exit(0));
    let forked_ns = [before_ns, boottime_ns()];
    report_child(&process::wait(child), forked_ns);
    process::exit(0);
}

/// Makes a child in a new session on a new terminal, and sends Ctrl-C or hangs up.
fn terminal(end: &str, rest: Words) -> ! {
    let (master, slave) = probe_tests::terminal::pair(80, 24);
    let mut master = Some(master);
    let mut gate = Gate::new();
    let child = process::fork().unwrap_or_else(|| {
        setsid().expect("the child leads no process group");
        ioctl_tiocsctty(&slave).expect("the session has no terminal");
        // The terminal hangs up when the last descriptor is closed.
        drop(master.take());
        gate.open();
        if end == "give-up" {
            process::give_up_terminal(&slave);
        }
        act_on(rest);
    });
    let forked_ns = [0, boottime_ns()];
    gate.pass();
    match end {
        "interrupt" => {
            let master = master.as_mut().expect("closed by the child only");
            master.write_all(b"\x03").expect("the other end is open");
        }
        "hang-up" => drop(master.take()),
        "give-up" => {}
        _ => panic!("no such end of a terminal: {end}"),
    }
    report_child(&process::wait(child), forked_ns);
    process::exit(0);
}
