//! States of pinned processes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use probe_tests::Victim;
use probe_user::{model::Backend, unstable::proc::pinned::PinnedProcess};

/// Number of times that another thread of the victim executes a program and becomes the leader.
const EXECS: &str = "3000";

#[test]
#[ignore = "needs root"]
fn a_process_that_another_thread_takes_over_never_looks_dead() {
    let mut victim = Victim::spawn(&["exec-in-thread", EXECS, "ready", "pause"], None);
    let pins = [Backend::Poll, Backend::Pidfd]
        .map(|backend| PinnedProcess::open(victim.pid(), backend).expect("the victim waits"));
    victim.release();
    // The victim reports only after the last execution.
    let is_over = AtomicBool::new(false);
    let looks = thread::scope(|scope| {
        let look = || {
            let mut looks = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                for pinned in &pins {
                    let state = pinned.state().expect("the state is readable");
                    assert!(!state.has_exited(), "{state:?} after {looks} looks");
                }
                looks += 1;
            }
            looks
        };
        let looks = scope.spawn(look);
        let _ready = victim.report();
        is_over.store(true, Ordering::Relaxed);
        looks.join().expect("no look saw the end of the victim")
    });
    assert!(looks > 0, "the victim was too fast");
}
