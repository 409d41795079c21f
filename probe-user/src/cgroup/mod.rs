//! Finds the cgroup file systems, and watches and changes one cgroup by its open directory.

pub mod control;
pub mod mounts;
pub mod path;
pub mod pinned;
pub mod removals;
