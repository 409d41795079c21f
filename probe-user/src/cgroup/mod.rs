//! Finds the cgroup file systems, and watches and changes one cgroup by its open directory.

pub mod control;
pub mod locate;
pub mod members;
mod mount;
pub mod mountinfo;
pub mod mounts;
pub mod open;
pub mod path;
mod pin_error;
pub mod pinned;
pub mod removals;
#[cfg(test)]
mod tests;
mod walk;
