//! Words about tasks.

use std::{fs, os::unix::process::CommandExt, process::Command, sync::mpsc, thread};

use crate::{Words, act as act_on, number, sys::process};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        // The process has `count` tasks, and the leader executes the rest.
        ["threads", count, ref rest @ ..] => {
            add_idle(number::<u32>(count) - 1);
            act_on(rest);
        }
        // The leader sleeps, and another task executes the rest.
        ["in-thread", ref rest @ ..] => {
            spawn(move || act_on(rest));
            idle();
        }
        // The leader exits with its own code, then another task executes the rest.
        ["leader-gone", code, ref rest @ ..] => {
            let leader = process::getpid();
            spawn(move || {
                wait_for_state(leader, 'Z');
                act_on(rest);
            });
            process::exit_thread(number(code));
        }
        // The leader exits and another task executes this program again, `count` times.
        ["exec-in-thread", count, ref rest @ ..] => match number::<u32>(count) {
            0 => act_on(rest),
            count => {
                spawn(move || exec_again(count - 1, rest));
                process::exit_thread(0);
            }
        },
        // Another task starts and exits, then the leader executes the rest.
        ["task-gone", ref rest @ ..] => {
            thread::spawn(|| {})
                .join()
                .expect("the task does not panic");
            act_on(rest);
        }
        ["leaderless-task", tid, ref rest @ ..] => leaderless_task(number(tid), rest),
        _ => {}
    }
}

fn exec_again(count: u32, rest: Words) -> ! {
    // The leader has exited, so `/proc/self` shows no program any more.
    let mut command = Command::new("/proc/thread-self/exe");
    command
        .args(["exec-in-thread", &count.to_string()])
        .args(rest);
    panic!("cannot execute this program: {}", command.exec());
}

/// A task with this tid executes the rest when the leader has exited.
fn leaderless_task(tid: i32, rest: Words) -> ! {
    let leader = process::getpid();
    loop {
        // The kernel continues counting from here. Another process may take the tid first.
        let before = (tid - 1).to_string();
        fs::write("/proc/sys/kernel/ns_last_pid", before).expect("CONFIG_CHECKPOINT_RESTORE");
        let (sender, receiver) = mpsc::channel();
        spawn(move || {
            let is_wanted = process::gettid() == tid;
            sender.send(is_wanted).expect("the leader listens");
            if is_wanted {
                wait_for_state(leader, 'Z');
                act_on(rest);
            }
        });
        if receiver.recv().expect("the task sends it") {
            process::exit_thread(0);
        }
    }
}

/// Adds tasks that sleep.
pub(crate) fn add_idle(count: u32) {
    for _ in 0..count {
        spawn(|| idle());
    }
}

/// Adds a task. Its stack is small, because some processes have many tasks.
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

/// Waits until a task of this process is in a state, such as `Z`.
pub(crate) fn wait_for_state(tid: i32, state: char) {
    let path = format!("/proc/self/task/{tid}/stat");
    let state = format!(") {state} ");
    while !fs::read_to_string(&path).is_ok_and(|stat| stat.contains(&state)) {
        thread::yield_now();
    }
}
