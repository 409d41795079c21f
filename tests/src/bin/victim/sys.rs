//! The system calls that are needed to die in strange ways.
//!
//! # Safety
//!
//! Each function makes one call whose arguments are plain numbers, so there is
//! nothing in memory that it could break.
#![expect(unsafe_code, reason = "libc, see the module's Safety section")]

/// `_exit`: nothing is flushed, nothing runs.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: the kernel takes any number.
    unsafe { libc::_exit(code) }
}

pub(crate) fn getpid() -> i32 {
    // SAFETY: it has no arguments.
    unsafe { libc::getpid() }
}

pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: the kernel checks both numbers.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(result, 0, "kill({pid}, {signal})");
}
