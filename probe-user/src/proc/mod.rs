//! Reads processes from `/proc`, watches them by pidfds, and sends signals to them.

pub mod detached;
pub mod directory;
pub mod exiting;
pub mod init_tree;
mod look;
pub(crate) mod membership;
pub mod migrants;
mod opening;
pub mod pid_namespace;
pub mod pidfd_info;
mod pin_error;
pub mod pinned;
pub mod scan;
pub mod send;
pub mod stat;
pub mod status;
pub(crate) mod tasks;
pub mod user_namespace;
pub mod visibility;
