//! System calls that no safe library has.
//!
//! # Safety
//!
//! Each call documents its effect on memory. Most take numbers only, which the kernel checks.
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
