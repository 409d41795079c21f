//! The directory of a cgroup on a cgroup mount of the daemon.
//!
//! To avoid a confused-deputy attack the daemon never opens a client's path
//! verbatim. The path must be on a cgroup mount, and is resolved below that mount
//! without following any link.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use probe_user::{
    model::CgroupId,
    unstable::cgroup::{
        mounts::{Mount, Mounts},
        pinned::{self, PinError},
    },
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
        pinned::owner(&self.mount, &self.location)
    }

    /// Identity of the cgroup that is at this location now.
    pub(crate) fn resolve(&self) -> Result<CgroupId, Refusal> {
        let location = self.location.display();
        let gone =
            |why: &dyn fmt::Display| Refusal::not_found(format!("no cgroup {location}: {why}"));
        let found = pinned::lookup(&self.mount, &self.location).map_err(|error| match error {
            PinError::Open { source, .. } => gone(&source),
            error => Refusal::bad(error.to_string()),
        })?;
        let id = rustix::fs::fstat(&found)
            .map_err(|errno| gone(&errno))?
            .st_ino;
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
