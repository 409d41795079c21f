//! Words about pids: a reused pid, and an init that cannot be reaped.

use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::json;

use crate::{
    Words, held, report,
    sys::{process, signal},
    threads,
};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        ["replaced"] => replaced(),
        ["held-init"] => held_init(),
        _ => {}
    }
}

/// Makes a child, and at the next line of stdin another child with the same pid.
fn replaced() -> ! {
    let first = process::fork().unwrap_or_else(|| idle_while_parent_lives());
    report(&json!({"pid": first}));
    held();
    signal::kill(first, libc::SIGKILL);
    process::wait(first);
    process::sleep_beyond_a_tick();
    let second = process::fork_as(first).unwrap_or_else(|| idle_while_parent_lives());
    assert_eq!(first, second, "the kernel gives the pid that was asked for");
    report(&json!({"pid": second}));
    loop {
        held();
    }
}

/// Makes the init of a pid namespace and a second process in it, both children of this one.
/// Init cannot become a zombie until the second process is reaped, at the next line of stdin.
fn held_init() -> ! {
    process::unshare(libc::CLONE_NEWPID);
    let init = process::fork().unwrap_or_else(|| idle_while_parent_lives());
    let other = process::fork().unwrap_or_else(|| idle_while_parent_lives());
    report(&json!({"pid": init, "other": other}));
    held();
    process::wait(other);
    process::wait(init);
    process::exit(0);
}

/// Sleeps until the parent dies. The parent dies with the harness, because it reads stdin.
fn idle_while_parent_lives() -> ! {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("every process may do this");
    threads::idle();
}
