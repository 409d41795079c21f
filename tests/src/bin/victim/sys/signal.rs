//! Sending and handling signals.

use std::{
    os::fd::{AsRawFd, RawFd},
    ptr,
};

use super::{check, process};

/// Highest signal number.
pub(crate) const LAST: i32 = 64;

/// Resets all signal handlers. Rust's runtime ignores SIGPIPE and handles SIGSEGV and SIGBUS;
/// `posix_spawn` of glibc leaves its two internal signals ignored.
pub(crate) fn all_default() {
    // The handler is the first word of the kernel's `struct sigaction`.
    const DEFAULT: [usize; 4] = [libc::SIG_DFL, 0, 0, 0];
    for signal in 1..=LAST {
        let (new, old) = (DEFAULT.as_ptr(), ptr::null_mut::<usize>());
        // The functions of libc refuse 32 and 33. The call fails for SIGKILL and SIGSTOP.
        // SAFETY: the kernel only reads the action, which is as long as its own (at most four
        // words on every architecture), and 8 bytes of mask.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, 8) };
    }
}

pub(crate) fn ignore(signal: i32) {
    handle(signal, libc::SIG_IGN);
}

/// Installs a handler that does nothing.
pub(crate) fn catch(signal: i32) {
    extern "C" fn nothing(_signal: libc::c_int) {}
    handle(signal, nothing as extern "C" fn(libc::c_int) as usize);
}

fn handle(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: the handler is `SIG_IGN`, or a function that does nothing and is
    // async-signal-safe.
    let before = unsafe { libc::signal(signal, handler) };
    assert_ne!(before, libc::SIG_ERR, "signal({signal})");
}

pub(crate) fn block(signal: i32) {
    mask(libc::SIG_BLOCK, signal);
}

pub(crate) fn unblock(signal: i32) {
    mask(libc::SIG_UNBLOCK, signal);
}

fn set_of(signal: i32) -> libc::sigset_t {
    // SAFETY: a set of bits, for which zero is a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours.
    let result = unsafe { libc::sigaddset(&raw mut set, signal) };
    check("sigaddset", result.into());
    set
}

fn mask(how: i32, signal: i32) {
    let set = set_of(signal);
    // SAFETY: the set is only read, and the old one is not requested.
    let result = unsafe { libc::pthread_sigmask(how, &raw const set, ptr::null_mut()) };
    assert_eq!(result, 0, "pthread_sigmask");
}

/// Sends a signal to the whole process.
pub(crate) fn kill(pid: i32, signal: i32) {
    check("kill", try_kill(pid, signal));
}

/// Sends a signal to the whole process; the result is negative if it failed.
pub(crate) fn try_kill(pid: i32, signal: i32) -> libc::c_long {
    // SAFETY: numbers only.
    unsafe { libc::kill(pid, signal) }.into()
}

/// Sends a signal to one task.
pub(crate) fn tgkill(pid: i32, tid: i32, signal: i32) {
    // SAFETY: numbers only.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
    check("tgkill", result);
}

/// Sends a signal with a value.
pub(crate) fn sigqueue(pid: i32, signal: i32) {
    let value = libc::sigval {
        sival_ptr: ptr::null_mut(),
    };
    // SAFETY: numbers only; the kernel does not dereference the value.
    let result = unsafe { libc::sigqueue(pid, signal, value) };
    check("sigqueue", result.into());
}

/// Sends a signal to a process with a `si_code`, and a siginfo that names pid 1.
pub(crate) fn queue_code(pid: i32, signal: i32, code: i32) {
    // The first words of a `siginfo_t`: number, errno, code, a gap, and the pid.
    let mut info = [0_i32; 32];
    (info[0], info[2], info[4]) = (signal, code, 1);
    // SAFETY: the siginfo is ours, has its 128 bytes and is only read.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info.as_ptr()) };
    check("rt_sigqueueinfo", result);
}

/// Sends a signal through a pidfd.
pub(crate) fn pidfd_send(pid: i32, signal: i32) {
    // SAFETY: numbers only.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    check("pidfd_open", pidfd);
    let pidfd = RawFd::try_from(pidfd).expect("a descriptor");
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the siginfo is null.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, no_info, 0) };
    check("pidfd_send_signal", result);
}

/// Waits for a blocked signal and consumes it, so that it is never delivered.
pub(crate) fn take(signal: i32) {
    let set = set_of(signal);
    let mut taken = 0;
    // SAFETY: the set is read, the number written, both are ours.
    let result = unsafe { libc::sigwait(&raw const set, &raw mut taken) };
    assert_eq!(result, 0, "sigwait");
}

/// Requests SIGIO when the file is readable.
pub(crate) fn when_readable(file: &impl AsRawFd) {
    let fd = file.as_raw_fd();
    // SAFETY: numbers only.
    let result = unsafe { libc::fcntl(fd, libc::F_SETOWN, process::getpid()) };
    check("F_SETOWN", result.into());
    // SAFETY: numbers only.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_ASYNC) };
    check("F_SETFL", result.into());
}

/// `abort(3)`.
pub(crate) fn abort() -> ! {
    std::process::abort()
}

/// Sends a signal to the calling task.
pub(crate) fn raise(signal: i32) {
    tgkill(process::getpid(), process::gettid(), signal);
}
