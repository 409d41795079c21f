//! Makes children without copying the parent's memory. `fork` would spend most of its time on
//! page tables, and vfork(2) returns twice into one stack frame, which no Rust function may do.
//!
//! # Safety
//!
//! `clone` starts the child on its own stack in the memory of the parent. This is sound because
//! the child uses only that stack: it runs a function of this file that makes system calls and
//! returns or is killed. The child shares the parent's `errno`, so it makes no call that can
//! fail.
#![expect(unsafe_code, reason = "clone(2), see the module's Safety section")]

use std::{
    cell::UnsafeCell,
    ffi::{c_int, c_void},
    io,
    ptr::null_mut,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// More than a system call wrapper needs.
const STACK_BYTES: usize = 16 * 1024;

#[repr(C, align(16))]
struct Bytes(UnsafeCell<[u8; STACK_BYTES]>);

/// A stack for one child at a time. It is never freed: a child that could not be killed may
/// still use it.
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

/// A sleeping child, and its stack.
pub(crate) struct Sleeper {
    child: Pid,
    stack: Stack,
}

impl Sleeper {
    /// Kills and reaps the child; returns its stack.
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

/// Makes a child that exits, and reaps it.
pub(crate) fn exits(stack: Stack) -> io::Result<Stack> {
    let (child, stack) = start(nothing, stack, libc::CLONE_VFORK)?;
    waitpid(Some(child), WaitOptions::empty())?;
    Ok(stack)
}

/// Makes a child that sleeps until it is killed.
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
    // SAFETY: `program` is one of the two functions above and needs less than the stack. The
    // stack is 16-byte aligned, grows down from the address that is passed, and is never freed.
    // The caller owns the `Stack`, so no other child uses it.
    let pid = unsafe { libc::clone(program, stack.top(), flags, null_mut()) };
    let child = Pid::from_raw(pid).filter(|_| pid > 0);
    Ok((child.ok_or_else(io::Error::last_os_error)?, stack))
}
