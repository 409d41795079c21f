//! Processes as `/proc` and pidfds show them.

pub(crate) mod ancestry;
pub mod detached;
pub mod exiting;
pub mod pidfd_info;
pub mod pinned;
pub mod scan;
pub mod send;
pub mod survivors;
pub mod user_namespace;
