//! The sandbox of the running daemon: files by Landlock, system calls by seccomp.
//!
//! Both affect the calling thread and the threads that it starts. They must come after
//! [`crate::service::privileges`], because the filter forbids changing the user.

#[cfg(target_endian = "little")]
mod calls;
#[cfg(target_endian = "big")]
#[path = "no_calls.rs"]
mod calls;
mod files;

pub use self::{calls::CallError, files::FileError};
pub(crate) use self::{
    calls::forbid_calls,
    files::{Files, limit_files},
};
