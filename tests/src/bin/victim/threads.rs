//! Words about the tasks of the process.

use std::{fs, sync::mpsc, thread};

use crate::{Words, act as act_on, number, sys::process};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        // So many tasks, of which the leader does the rest.
        ["threads", count, ref rest @ ..] => {
            add_idle(number::<u32>(count) - 1);
            act_on(rest);
        }
        // The leader idles, another task does the rest.
        ["in-thread", ref rest @ ..] => {
            spawn(move || act_on(rest));
            idle();
        }
        // The leader exits with a code of its own, then another task does the
        // rest.
        ["leader-gone", code, ref rest @ ..] => {
            let leader = process::getpid();
            spawn(move || {
                while !is_zombie(leader) {
                    thread::yield_now();
                }
                act_on(rest);
            });
            process::exit_thread(number(code));
        }
        // Another task comes and goes, then the leader does the rest.
        ["task-gone", ref rest @ ..] => {
            thread::spawn(|| {}).join().expect("it does nothing");
            act_on(rest);
        }
        ["leaderless-task", tid, ref rest @ ..] => leaderless_task(number(tid), rest),
        _ => {}
    }
}

/// A task with a certain tid does the rest, when it is the last of the process.
fn leaderless_task(tid: i32, rest: Words) -> ! {
    let leader = process::getpid();
    loop {
        // The kernel goes on counting from here; somebody else may be faster.
        let before = (tid - 1).to_string();
        fs::write("/proc/sys/kernel/ns_last_pid", before).expect("CONFIG_CHECKPOINT_RESTORE");
        let (found, is_found) = mpsc::channel();
        spawn(move || {
            let is_it = process::gettid() == tid;
            found.send(is_it).expect("the leader listens");
            if is_it {
                while !is_zombie(leader) {
                    thread::yield_now();
                }
                act_on(rest);
            }
        });
        if is_found.recv().expect("the task says what it is") {
            process::exit_thread(0);
        }
    }
}

/// More tasks that do nothing.
pub(crate) fn add_idle(count: u32) {
    for _ in 0..count {
        spawn(|| idle());
    }
}

/// One more task. Its stack is small, because some processes have many.
pub(crate) fn spawn(run: impl FnOnce() + Send + 'static) {
    let stack_bytes = 64 * 1024;
    let thread = thread::Builder::new().stack_size(stack_bytes).spawn(run);
    thread.expect("the kernel makes another task");
}

pub(crate) fn idle() -> ! {
    loop {
        thread::park();
    }
}

fn is_zombie(tid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat"));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}
