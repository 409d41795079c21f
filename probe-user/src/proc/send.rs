//! Sends a signal to a pinned process and to no other.
//!
//! # Safety
//!
//! rustix has no safe form of the real-time signals and of signal 0 by a pidfd. They are
//! numbers that the kernel checks; the numbers that the C library reserves are left out. The
//! system call for signal 0 takes numbers and a null pointer:
//! <https://elixir.bootlin.com/linux/v6.12/source/kernel/signal.c#L3949>

#![expect(
    unsafe_code,
    reason = "rustix has no safe real-time signals and signal 0"
)]

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::{
    io::Errno,
    process::{self, Pid, pidfd_send_signal},
};

use super::pinned::PinnedProcess;
use crate::model::Signal;

/// Sends a signal; fails with `ESRCH` if the process has exited. Without a pidfd the start
/// time is compared first, and for a moment afterwards another process may get the pid and
/// with it the signal.
pub fn send(process: &PinnedProcess, signal: Signal) -> Result<(), Errno> {
    let signal = raw(signal).ok_or(Errno::INVAL)?;
    if let Some(pidfd) = process.pidfd() {
        match pidfd_send_signal(pidfd, signal) {
            Err(Errno::NOSYS) => {}
            sent => return sent,
        }
    }
    match process.state() {
        Ok(state) if state.has_exited() => return Err(Errno::SRCH),
        Ok(_) => {}
        Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
    let pid = i32::try_from(process.tgid).ok().and_then(Pid::from_raw);
    process::kill_process(pid.ok_or(Errno::SRCH)?, signal)
}

/// Sends a signal to a child that this process has not reaped, so that no other process has its
/// pid.
pub fn send_to_child(child: Pid, signal: Signal) -> Result<(), Errno> {
    process::kill_process(child, raw(signal).ok_or(Errno::INVAL)?)
}

/// Sends signal 0, which no process receives. It fails with `ESRCH` once the process is reaped,
/// and with `EPERM` if this process may not signal it.
pub(super) fn test_pidfd(pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without an information the call reads no memory of this process, and the kernel
    // checks the descriptor.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, info, 0) };
    if sent == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Whether a process or a thread has this pid, even if `/proc` hides it.
#[must_use]
pub fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| process::test_kill_process(pid) != Err(Errno::SRCH))
}

/// The signal as rustix takes it; `None` if it cannot be sent.
fn raw(signal: Signal) -> Option<process::Signal> {
    let number = i32::try_from(signal.0).ok()?;
    match number {
        // SAFETY: the number is neither 0 nor one that the C library reserves; the
        // kernel refuses a number that it does not know.
        34..=64 => Some(unsafe { process::Signal::from_raw_unchecked(number) }),
        _ => process::Signal::from_named_raw(number),
    }
}

/// Whether the signal can be sent: it exists, and the C library does not reserve it.
#[must_use]
pub fn is_sendable(signal: Signal) -> bool {
    raw(signal).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_unknown_signals_cannot_be_sent() {
        for number in [0, 32, 33, 65, u32::MAX] {
            assert!(!is_sendable(Signal(number)), "{number}");
        }
        for number in (1..32).chain(34..65) {
            assert_eq!(
                raw(Signal(number)).map(|signal| signal.as_raw().cast_unsigned()),
                Some(number)
            );
        }
    }
}
