//! Children that end, made without copying the parent's memory: a fork would
//! spend most of its time on page tables, and vfork(2) itself returns twice
//! into one stack frame, which no Rust function may do.
//!
//! # Safety
//!
//! `clone` starts the child on a stack of its own in the memory of the parent.
//! That is sound because the child touches nothing but that stack: its whole
//! program is a function here that makes system calls and returns or is killed.
//! It shares the parent's thread-local `errno`, which is why it makes none that
//! can fail.
#![expect(unsafe_code, reason = "clone(2), see the module's Safety section")]

use std::{
    cell::UnsafeCell,
    ffi::{c_int, c_void},
    io,
    ptr::null_mut,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Far more than a system call wrapper needs.
const STACK_BYTES: usize = 16 * 1024;

#[repr(C, align(16))]
struct Bytes(UnsafeCell<[u8; STACK_BYTES]>);

/// What one child at a time runs on. Never freed: a child that could not be
/// killed may still be on it.
pub(crate) struct Stack(&'static mut Bytes);

impl Stack {
    pub(crate) fn new() -> Self {
        Self(Box::leak(Box::new(Bytes(UnsafeCell::new(
            [0; STACK_BYTES],
        )))))
    }

    fn top(&mut self) -> *mut c_void {
        self.0.0.get().wrapping_add(1).cast()
    }
}

/// A child that only a signal ends, and the stack that it holds until then.
pub(crate) struct Sleeper {
    child: Pid,
    stack: Stack,
}

impl Sleeper {
    /// Kills and reaps it; gives its stack back.
    pub(crate) fn kill(self) -> io::Result<Stack> {
        kill_process(self.child, Signal::KILL)?;
        waitpid(Some(self.child), WaitOptions::empty())?;
        Ok(self.stack)
    }
}

extern "C" fn nothing(_: *mut c_void) -> c_int {
    0
}

extern "C" fn sleep_for_good(_: *mut c_void) -> c_int {
    loop {
        // SAFETY: pause has no precondition; it returns, and sets the shared
        // `errno`, only after a handler ran, and this program has none.
        unsafe { libc::pause() };
    }
}

/// As vfork, `_exit(0)` and waitpid.
pub(crate) fn exits(stack: Stack) -> io::Result<Stack> {
    let (child, stack) = start(nothing, stack, libc::CLONE_VFORK)?;
    waitpid(Some(child), WaitOptions::empty())?;
    Ok(stack)
}

/// A child that waits to be killed.
pub(crate) fn sleeps(stack: Stack) -> io::Result<Sleeper> {
    let (child, stack) = start(sleep_for_good, stack, 0)?;
    Ok(Sleeper { child, stack })
}

fn start(
    program: extern "C" fn(*mut c_void) -> c_int,
    mut stack: Stack,
    flags: c_int,
) -> io::Result<(Pid, Stack)> {
    let flags = libc::CLONE_VM | libc::SIGCHLD | flags;
    // SAFETY: `program` is one of the two above, and needs less than the
    // stack, whose end (16-byte aligned, growing down) is passed. The stack is
    // never freed, and whoever has the `Stack` knows that no child uses it.
    let pid = unsafe { libc::clone(program, stack.top(), flags, null_mut()) };
    let child = Pid::from_raw(pid).filter(|_| pid > 0);
    Ok((child.ok_or_else(io::Error::last_os_error)?, stack))
}
