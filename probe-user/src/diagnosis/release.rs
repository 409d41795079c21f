//! Frees processes, if a user asks for it.

use std::{fs, io};

use super::{cause::Thaw, fuse};

/// Thaws a frozen cgroup.
pub fn thaw(frozen: &Thaw) -> io::Result<()> {
    fs::write(&frozen.file, frozen.value)
}

/// Aborts a FUSE connection: every request of it fails, also those of other processes. Needs
/// the file system of the connections (`fusectl`) at `/sys/fs/fuse/connections`.
pub fn abort_fuse(connection: u32) -> io::Result<()> {
    fs::write(fuse::abort_file(connection), "1")
}
