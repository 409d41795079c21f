//! Parsers for the fuzz targets.

use std::path::PathBuf;

use probe_user::unstable::cgroup::mounts::Mounts;

use crate::{
    access::directory,
    client::{Message, message, numbers::Numbers},
};

/// The message in a line; `None` if the line is malformed or of an unknown type.
#[must_use]
pub fn message(line: &[u8]) -> Option<Message> {
    message::decode(line, Numbers::Same).ok().flatten()
}

/// The directory that the daemon opens for a client's path, and the cgroup's path below
/// the root of its hierarchy; `None` if the path is refused.
#[must_use]
pub fn cgroup_directory(mounts: &Mounts, path: &str) -> Option<(PathBuf, String)> {
    let found = directory::parse(mounts, path).ok()?;
    Some((found.location, found.path))
}
