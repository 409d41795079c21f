//! Parsers that only the fuzz targets call from outside the package.

use std::path::PathBuf;

use probe_user::unstable::cgroup::mounts::Mounts;

use crate::{
    access::directory,
    client::{Message, message},
};

/// The message in a line; `None` if it is malformed or of an unknown type.
#[must_use]
pub fn message(line: &[u8]) -> Option<Message> {
    message::decode(line).ok().flatten()
}

/// The directory that the daemon opens for a client's path, and the cgroup's own
/// path; `None` if the path is refused.
#[must_use]
pub fn cgroup_directory(mounts: &Mounts, path: &str) -> Option<(PathBuf, String)> {
    directory::fuzzed(mounts, path)
}
