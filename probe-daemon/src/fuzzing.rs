//! Parsers that only the fuzz targets call from outside the package.

use std::path::PathBuf;

use probe_user::unstable::cgroup::mounts::Mounts;

use crate::{
    access::place,
    client::{Word, word},
};

/// What a line of a daemon means; `None`: nothing, or nothing that we know.
#[must_use]
pub fn word(line: &[u8]) -> Option<Word> {
    word::decode(line).ok().flatten()
}

/// The directory that the daemon opens for a client's path, and the cgroup's own
/// path.
#[must_use]
pub fn place(mounts: &Mounts, path: &str) -> Option<(PathBuf, String)> {
    place::fuzzed(mounts, path)
}
