//! The system calls that are needed to die in strange ways, and that no safe
//! library has.
//!
//! # Safety
//!
//! What these calls do to memory is said at each of them. Most take numbers
//! only: whatever the kernel does with those, it checks them first, and the
//! worst that can happen to this process is what it was started for.
#![expect(unsafe_code, reason = "libc, see the module's Safety section")]

pub(crate) mod fault;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod timer;
pub(crate) mod trace;

use std::io;

/// Panics with the name of the call if it failed.
fn check(call: &str, result: libc::c_long) {
    assert!(result >= 0, "{call}: {}", io::Error::last_os_error());
}
