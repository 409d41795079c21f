//! Opens private parsers to the fuzz targets, which are in a package of their own. These
//! functions are not part of the interface.
//!
//! No feature guards them, so the fuzz targets test the code that ships.

use crate::{
    cgroup,
    model::{CgroupState, ProcessState},
    proc::{
        self,
        detached::{Family, Relation},
    },
};

/// State of a cgroup by its `cgroup.events`.
#[must_use]
pub fn populated(file: &[u8]) -> Option<CgroupState> {
    cgroup::pinned::parse_populated(file)
}

/// State of the process that started at this tick, by the `stat` of its pid.
#[must_use]
pub fn process_state(file: &[u8], start_ticks: u64) -> Option<ProcessState> {
    proc::pinned::parse_state(file, start_ticks)
}

/// Whether a process with this path in `/proc/PID/cgroup` is or was in the cgroup.
#[must_use]
pub fn is_detached_member(pathname: &str, cgroup: &str, is_removed: bool) -> bool {
    let family = Family {
        path: cgroup.as_bytes(),
        is_removed,
        ..Family::default()
    };
    family.by_path(pathname.as_bytes(), None) == Relation::Member
}
