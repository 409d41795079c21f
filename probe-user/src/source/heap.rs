//! Memory that was needed once goes back to the kernel.
//!
//! # Safety
//!
//! One call without arguments that matter: `malloc_trim(3)` may be called at any
//! time, from any thread (glibc 2.8).
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "nobody offers a safe form of malloc_trim")
)]

/// Gives free pages of the heap back. glibc keeps them otherwise, because
/// something small lies above.
pub(super) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no precondition; glibc takes its own locks.
    let _anything_released = unsafe { libc::malloc_trim(0) };
}
