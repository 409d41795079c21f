//! Parsers that are nobody's business but the fuzz targets', which are in a
//! package of their own. No part of the interface.
//!
//! Not behind a feature: what is fuzzed is built as what ships.

use std::path::PathBuf;

use crate::{
    client::{Word, word},
    daemon::aim,
    source::{cgroup_events, cgroupfs::Mount, left_behind, pinned_process},
    waiter::{Level, Life},
};

/// What `cgroup.events` says.
#[must_use]
pub fn populated(file: &[u8]) -> Option<Level> {
    cgroup_events::parse_populated(file)
}

/// What `/proc/PID/stat` says of the process that started then.
#[must_use]
pub fn life(file: &[u8], start_ticks: u64) -> Option<Life> {
    pinned_process::parse_life(file, start_ticks)
}

/// Whether who has this path in `/proc/PID/cgroup` is or was in the cgroup.
#[must_use]
pub fn left_behind(pathname: &str, cgroup: &str, is_removed: bool) -> bool {
    left_behind::is_named(pathname, cgroup, is_removed)
}

/// What a line of a daemon means; `None`: nothing, or nothing that we know.
#[must_use]
pub fn word(line: &[u8]) -> Option<Word> {
    word::decode(line).ok().flatten()
}

/// The directory that the daemon opens for a client's path, and the cgroup's own
/// path.
#[must_use]
pub fn place(mounts: &[Mount], path: &str) -> Option<(PathBuf, String)> {
    aim::fuzzed(mounts, path)
}
