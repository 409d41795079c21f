//! Words about processes that somebody may take for others.

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

/// A child, and at the next line another with the same pid.
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

/// The init of a pid namespace and another process in it that is a child of
/// ours: as long as we do not reap that one, which we do at the next line, its
/// init cannot become a zombie.
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

/// Not until the harness is gone: the parent reads stdin.
fn idle_while_parent_lives() -> ! {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("every process may do this");
    threads::idle();
}
