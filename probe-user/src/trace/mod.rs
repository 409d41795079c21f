//! The stream of exit records, with the cgroup and container of each.

pub mod places;
pub mod records;
pub mod tracker;
