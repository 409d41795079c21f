//! What the daemon can no longer do even if it wanted to.
//!
//! Files by Landlock, calls by seccomp. Both bind the calling thread and those
//! that it starts, so they follow [`crate::service::privileges`].

#[cfg(target_endian = "little")]
mod calls;
#[cfg(target_endian = "big")]
#[path = "no_calls.rs"]
mod calls;
mod files;

pub use self::{
    calls::{CallError, forbid_calls},
    files::{FileError, Files, Limit, limit_files},
};
