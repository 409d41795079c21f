//! Parsers that are nobody's business but the fuzz targets', which are in a
//! package of their own. No part of the interface.
//!
//! Not behind a feature: what is fuzzed is built as what ships.

use crate::{
    cgroup,
    model::{CgroupState, ProcessState},
    proc::{self, detached},
};

/// What `cgroup.events` says.
#[must_use]
pub fn populated(file: &[u8]) -> Option<CgroupState> {
    cgroup::pinned::parse_populated(file)
}

/// Where the process that started at this tick stands, by the `stat` of its pid.
#[must_use]
pub fn process_state(file: &[u8], start_ticks: u64) -> Option<ProcessState> {
    proc::pinned::parse_state(file, start_ticks)
}

/// Whether who has this path in `/proc/PID/cgroup` is or was in the cgroup.
#[must_use]
pub fn is_detached_member(pathname: &str, cgroup: &str, is_removed: bool) -> bool {
    detached::is_named(pathname, cgroup, is_removed)
}
