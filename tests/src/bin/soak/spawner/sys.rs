//! System calls that neither std nor rustix has.
//!
//! # Safety
//!
//! Each call has plain numbers or a live object of ours as arguments. `fork` is
//! only called while there is one thread.
#![expect(unsafe_code, reason = "libc, see the module's Safety section")]

use std::{
    io,
    mem::zeroed,
    os::fd::{AsFd, FromRawFd, OwnedFd},
    ptr,
};

/// Returns 0 in the child.
pub(crate) fn fork() -> i32 {
    // SAFETY: there is one thread, see the module.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    pid
}

/// Exits without flushing buffers or running destructors, which belong to the parent.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: the kernel takes any number.
    unsafe { libc::_exit(code) }
}

/// Exits the calling thread alone, which is never joined.
pub(crate) fn exit_thread() {
    // SAFETY: the stack of the thread is never freed.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Returns a signalfd that is readable when a child has exited, and blocks `SIGCHLD`.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: an all-zero set is a valid one.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: a live set.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    // SAFETY: a live set; the old one is not requested.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    // SAFETY: a live set.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads all pending signals. One signal may stand for several exits.
pub(crate) fn drain(signals: &OwnedFd) {
    let mut buffer = [0_u8; 1024];
    while rustix::io::read(signals.as_fd(), &mut buffer).is_ok_and(|length| length > 0) {}
}

/// Whether the process has no child, not even a zombie.
pub(crate) fn has_no_children() -> bool {
    // SAFETY: an all-zero siginfo is a valid one.
    let mut info: libc::siginfo_t = unsafe { zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a live object of ours.
    unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) != 0 }
}
