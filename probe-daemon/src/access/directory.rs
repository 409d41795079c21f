//! The directory of a cgroup on a cgroup mount of the daemon.
//!
//! To avoid a confused-deputy attack the daemon never opens a client's path
//! verbatim. The path must be on a cgroup mount, and is resolved below that mount
//! without following any link.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use probe_user::{
    model::CgroupId,
    unstable::cgroup::mounts::{Mount, Mounts},
};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, open, openat2},
    io::Errno,
};

use super::refusal::Refusal;

/// The directory of a cgroup, which may be gone already.
#[derive(Clone, Debug)]
pub(crate) struct CgroupDirectory {
    pub(crate) mount: Mount,
    pub(crate) location: PathBuf,
    /// Path below the root of the hierarchy.
    pub(crate) path: String,
}

impl CgroupDirectory {
    /// Uid of the owner; `None` if the directory is gone.
    pub(crate) fn owner(&self) -> Option<u32> {
        fs::symlink_metadata(&self.location).ok().map(|it| it.uid())
    }

    /// Identity of the cgroup that is at this location now.
    pub(crate) fn resolve(&self) -> Result<CgroupId, Refusal> {
        const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let gone = |errno: Errno| {
            let detail = format!("no cgroup {}: {errno}", self.location.display());
            Refusal::not_found(detail)
        };
        let below = match self.location.strip_prefix(&self.mount.mount_point) {
            Ok(below) if below != Path::new("") => below,
            _ => Path::new("."),
        };
        let top = open(&self.mount.mount_point, PATH, Mode::empty()).map_err(gone)?;
        let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let found = openat2(&top, below, PATH, Mode::empty(), rules).map_err(gone)?;
        let id = rustix::fs::fstat(&found).map_err(gone)?.st_ino;
        Ok(CgroupId {
            hierarchy: self.mount.hierarchy,
            id,
        })
    }
}

/// The cgroup directory at a client's path.
pub(crate) fn parse(mounts: &Mounts, path: &str) -> Result<CgroupDirectory, Refusal> {
    let wrong = |what: &str| Refusal::bad(format!("path '{}' {what}", path.escape_debug()));
    let directory = Path::new(path);
    let is_plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    if path.chars().any(char::is_control) {
        return Err(wrong("contains a control character"));
    }
    if !directory.is_absolute() || !directory.components().all(is_plain) {
        return Err(wrong("is not an absolute path without `..`"));
    }
    let (mount, path) = mounts.of_path(directory).ok_or_else(|| {
        wrong("is not on a cgroup mount").hint("use a directory such as /sys/fs/cgroup/a/b")
    })?;
    Ok(CgroupDirectory {
        mount: mount.clone(),
        location: directory.to_owned(),
        path,
    })
}

/// The directory of the cgroup at a path below the root of its hierarchy.
pub(crate) fn at(mounts: &Mounts, hierarchy: u32, path: &str) -> Option<CgroupDirectory> {
    let mount = mounts.of_hierarchy(hierarchy)?;
    Some(CgroupDirectory {
        mount: mount.clone(),
        location: mount.directory_of(path)?,
        path: path.to_owned(),
    })
}
