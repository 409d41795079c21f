//! A cgroup named by a client, as a directory of the daemon's own.
//!
//! The daemon is no deputy: it opens no path as a client wrote it. A path is
//! taken apart, resolved below a cgroup mount without following any link, and
//! what it leads to is opened by the daemon's own name for it.

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

/// A cgroup by name: it need not exist any more.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) mount: Mount,
    pub(crate) directory: PathBuf,
    /// Path below the root of the hierarchy.
    pub(crate) path: String,
}

impl Place {
    /// Whose the directory is; `None` if it is gone.
    pub(crate) fn owner(&self) -> Option<u32> {
        fs::symlink_metadata(&self.directory)
            .ok()
            .map(|it| it.uid())
    }

    /// Which cgroup is there now.
    pub(crate) fn resolve(&self) -> Result<CgroupId, Refusal> {
        const PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let gone = |errno: Errno| {
            let detail = format!("no cgroup {}: {errno}", self.directory.display());
            Refusal::not_found(detail)
        };
        let below = self.directory.strip_prefix(&self.mount.mount_point);
        let below = below.unwrap_or(Path::new("."));
        let below = if below.as_os_str().is_empty() {
            Path::new(".")
        } else {
            below
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

/// The cgroup that a path of the daemon's own mounts names.
pub(crate) fn place(mounts: &Mounts, path: &str) -> Result<Place, Refusal> {
    let wrong = |what: &str| Refusal::bad(format!("'{}' {what}", path.escape_debug()));
    let directory = Path::new(path);
    let is_plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    if path.chars().any(char::is_control) {
        return Err(wrong("has a control character: no cgroup is called so"));
    }
    if !directory.is_absolute() || !directory.components().all(is_plain) {
        return Err(wrong("is no absolute path without `..`"));
    }
    let (mount, path) = mounts.of_path(directory).ok_or_else(|| {
        wrong("is on no cgroup mount").hint("give a directory such as /sys/fs/cgroup/a/b")
    })?;
    Ok(Place {
        mount: mount.clone(),
        directory: directory.to_owned(),
        path,
    })
}

/// The directory that is opened for a path, and the cgroup's own path: for the
/// fuzz targets.
pub(crate) fn fuzzed(mounts: &Mounts, path: &str) -> Option<(PathBuf, String)> {
    let Place {
        directory, path, ..
    } = place(mounts, path).ok()?;
    Some((directory, path))
}

/// The cgroup at a path below the root of its hierarchy.
pub(crate) fn at(mounts: &Mounts, hierarchy: u32, path: &str) -> Option<Place> {
    let mount = mounts.of_hierarchy(hierarchy)?;
    Some(Place {
        mount: mount.clone(),
        directory: mount.directory_of(path)?,
        path: path.to_owned(),
    })
}
