//! The pid namespace of this process, to which the pids in its records belong.

use std::{fs, os::unix::fs::MetadataExt};

/// Inode number of the pid namespace of this process; `None` if `/proc` does not show it.
#[must_use]
pub fn own() -> Option<u32> {
    let namespace = fs::metadata("/proc/self/ns/pid");
    u32::try_from(namespace.ok()?.ino()).ok()
}
