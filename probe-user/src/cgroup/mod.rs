//! Cgroup file systems: where they are mounted, and one cgroup held open.

pub mod control;
pub mod mounts;
pub mod path;
pub mod pinned;
pub mod removals;
