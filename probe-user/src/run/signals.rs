//! Receives signals by a descriptor, and stops this process as its command has stopped.
//!
//! All signals but those of faults are blocked, so that none of them ends this process before its
//! command is gone. A process inherits the mask, so [`Signals::restore`] resets it in the command.
//!
//! # Safety
//!
//! The signal sets are plain memory that the C library fills. The calls are those of rustix where
//! it has them; it has none for signal masks and `signalfd`.

#![expect(unsafe_code, reason = "rustix has no signal masks and no signalfd")]

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use rustix::io::Errno;

use crate::model::Signal;

/// `si_code` of a signal that the kernel sends, such as that of a key of the terminal.
const SI_KERNEL: i32 = 0x80;

/// Bytes of a `signalfd_siginfo`.
const INFO_BYTES: usize = 128;

/// Signals that are not blocked: those of faults, and SIGPIPE, which this process ignores.
const LEFT_OUT: [libc::c_int; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGPIPE,
];

/// A signal that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The signal.
    pub signal: Signal,
    /// Whether the kernel sent it. The kernel sends the signal of a key of the terminal to the
    /// whole foreground process group, so the command has it already.
    pub by_kernel: bool,
}

/// The blocked signals of this process.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
    before: Mask,
}

/// A signal mask.
#[derive(Clone, Copy)]
struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Signals {
    /// Blocks the signals of the calling thread and of those that it starts. A parent may have
    /// started this process with SIGCHLD ignored; the kernel would then reap its children.
    pub fn block() -> io::Result<Self> {
        // SAFETY: the default action needs no handler.
        let previous = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        check(if previous == libc::SIG_ERR { -1 } else { 0 })?;
        let mut blocked = Mask::full();
        for signal in LEFT_OUT {
            blocked.remove(signal);
        }
        let before = blocked.apply(libc::SIG_SETMASK)?;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is initialised, and the call only reads it.
        let descriptor = unsafe { libc::signalfd(-1, &raw const blocked.0, flags) };
        check(descriptor)?;
        Ok(Self {
            // SAFETY: the kernel has just returned this descriptor, and nothing else owns it.
            descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) },
            before,
        })
    }

    /// The next signal that has arrived; `None` if there is none.
    pub fn next(&self) -> io::Result<Option<Received>> {
        let mut info = [0; INFO_BYTES];
        match rustix::io::read(&self.descriptor, &mut info) {
            Ok(INFO_BYTES) => {}
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        let word = |at: usize| [info[at], info[at + 1], info[at + 2], info[at + 3]];
        Ok(Some(Received {
            // `ssi_signo` is the first word, `ssi_code` the third.
            signal: Signal(u32::from_ne_bytes(word(0))),
            by_kernel: i32::from_ne_bytes(word(8)) == SI_KERNEL,
        }))
    }

    /// Sets the mask that the process had at first. For the child between fork and exec.
    pub(super) fn restore(&self) -> io::Result<()> {
        self.before.apply(libc::SIG_SETMASK)?;
        // The runtime of Rust ignores SIGPIPE, and a command expects the default.
        // SAFETY: the default action needs no handler.
        let previous = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        check(if previous == libc::SIG_ERR { -1 } else { 0 })
    }

    /// Stops this process by a signal of job control, until a SIGCONT. The kernel does not stop it
    /// if no shell could continue it.
    pub fn stop_by(signal: Signal) -> io::Result<()> {
        let number = libc::c_int::try_from(signal.0).unwrap_or(libc::SIGTSTP);
        let mut only = Mask::empty();
        only.add(number);
        // Sent while it is blocked: together with the signal of the terminal, which may be pending
        // too, it stops the process once.
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: the call takes numbers, and the pid is that of this process.
        check(unsafe { libc::kill(own, number) })?;
        only.apply(libc::SIG_UNBLOCK)?;
        only.apply(libc::SIG_BLOCK)?;
        Ok(())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Mask {
    fn empty() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the pointer is valid, and the call initialises the set. It does not fail.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: `sigemptyset` has initialised it.
        Self(unsafe { set.assume_init() })
    }

    fn full() -> Self {
        let mut set = Self::empty();
        // SAFETY: the set is valid. The call does not fail.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }

    fn add(&mut self, signal: libc::c_int) {
        // SAFETY: the set is initialised; the call refuses a number that is no signal.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
    }

    fn remove(&mut self, signal: libc::c_int) {
        // SAFETY: as for `add`.
        unsafe { libc::sigdelset(&raw mut self.0, signal) };
    }

    /// Changes the mask of the calling thread, and returns the mask before.
    fn apply(&self, how: libc::c_int) -> io::Result<Self> {
        let mut before = Self::empty();
        // SAFETY: both sets are initialised and live for the call.
        let errno =
            unsafe { libc::pthread_sigmask(how, ptr::from_ref(&self.0), &raw mut before.0) };
        match errno {
            0 => Ok(before),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// The error of a call of the C library that has returned -1.
fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
