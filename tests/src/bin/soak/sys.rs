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
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

/// `CLONE_INTO_CGROUP` of `linux/sched.h`. The constant of `libc` has lost its bits.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Forks into a v2 cgroup, with this pid; returns 0 in the child.
pub(crate) fn fork_into(cgroup: Option<BorrowedFd<'_>>, pid: Option<u32>) -> io::Result<i32> {
    let pid = pid.unwrap_or(0).cast_signed();
    // SAFETY: all-zero arguments are valid.
    let mut arguments: libc::clone_args = unsafe { zeroed() };
    arguments.exit_signal = libc::SIGCHLD.cast_unsigned().into();
    if let Some(cgroup) = cgroup {
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd().cast_unsigned().into();
    }
    if pid != 0 {
        arguments.set_tid = (&raw const pid).addr() as u64;
        arguments.set_tid_size = 1;
    }
    // SAFETY: there is one thread, see the module; the arguments and `pid` are live objects.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match i32::try_from(result) {
        Ok(pid) if pid >= 0 => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the calling thread a copy of the table of descriptors.
pub(crate) fn unshare_descriptors() -> io::Result<()> {
    unshare(libc::CLONE_FILES)
}

/// Enters a mount namespace, and lets the next child be the first process of a pid namespace.
pub(crate) fn unshare_pids() -> io::Result<()> {
    unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS)
}

fn unshare(what: i32) -> io::Result<()> {
    // SAFETY: the kernel takes any number. No descriptor becomes invalid: a copy of the table
    // has them all.
    let result = unsafe { libc::unshare(what) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A descriptor that the program inherited, and that nothing else uses.
pub(crate) fn inherited(fd: i32) -> OwnedFd {
    // SAFETY: the program before `exec` left it to this one.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

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

/// Whether all threads of a child have exited; `None` if the pid is no child.
pub(crate) fn has_exited(pid: u32) -> Option<bool> {
    // SAFETY: an all-zero siginfo is a valid one.
    let mut info: libc::siginfo_t = unsafe { zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a live object of ours.
    let result = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, options) };
    // SAFETY: `waitid` has set the field, or left it zero.
    let found = unsafe { info.si_pid() };
    (result == 0).then_some(found != 0)
}

/// Whether the process has been reaped.
pub(crate) fn is_reaped(pidfd: &OwnedFd) -> bool {
    let no_information = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; signal 0 has no effect.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            0,
            no_information,
            0,
        )
    };
    result != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}
