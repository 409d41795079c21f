//! Runs a function as another user.

use std::thread;

use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

/// Runs `ask` as this user, in the group with the same number and no other. It runs on its own
/// thread, because the kernel stores the ids of each thread.
pub fn as_user<T: Send>(uid: u32, ask: impl FnOnce() -> T + Send) -> T {
    as_user_in_group(uid, uid, ask)
}

/// As [`as_user`], with another group.
pub fn as_user_in_group<T: Send>(uid: u32, gid: u32, ask: impl FnOnce() -> T + Send) -> T {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let asker = move || {
        set_thread_groups(&[]).expect("we are root");
        set_thread_res_gid(gid, gid, gid).expect("we are root");
        set_thread_res_uid(uid, uid, uid).expect("we are root");
        ask()
    };
    thread::scope(|scope| match scope.spawn(asker).join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
