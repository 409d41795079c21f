//! A stand-in for `calls.rs` on big-endian machines, for which seccompiler has no filter.

/// Why system calls could not be forbidden.
#[derive(Debug, thiserror::Error)]
#[error("no seccomp filter for a big-endian machine")]
pub struct CallError;

/// Always fails.
pub(crate) const fn forbid_calls() -> Result<(), CallError> {
    Err(CallError)
}
