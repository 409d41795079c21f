//! Finds the cgroup file systems, and watches and changes one cgroup by its open directory.

pub mod control;
pub mod locate;
pub mod members;
pub mod mountinfo;
pub mod mounts;
pub mod open;
pub mod path;
pub mod pinned;
pub mod removals;
#[cfg(test)]
mod tests;
mod walk;
