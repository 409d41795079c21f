//! Where there is no seccomp filter: seccompiler makes none for big endian.

/// Why calls could not be forbidden.
#[derive(Debug, thiserror::Error)]
#[error("no seccomp filter for a big-endian machine")]
pub struct CallError;

/// Never succeeds.
pub const fn forbid_calls() -> Result<(), CallError> {
    Err(CallError)
}
