//! Finds the cgroups of runs after the process that made them has ended without removing them, as after
//! SIGKILL.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{cgroup::is_locked, name::RunName};
use crate::cgroup::{
    mounts::{self, Mount},
    pinned::PinnedCgroup,
};

/// Finds the cgroups of all runs on a v2 mount, each parent before its children; see [`is_over`].
pub fn find(mount: &Mount) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    mounts::walk(mount, &mut |_, path| {
        let directory = mount.directory_of(&path);
        found.extend(directory.filter(|it| name_of(it).is_some()));
    })?;
    Ok(found)
}

/// The name of a run's cgroup; `None` for other cgroups.
fn name_of(path: &Path) -> Option<RunName> {
    RunName::parse(path.file_name()?)
}

/// Whether the run of a cgroup is over: the process in its name is dead, and none in another pid
/// namespace holds its lock.
#[must_use]
pub fn is_over(cgroup: &PinnedCgroup) -> bool {
    name_of(cgroup.path()).is_some_and(|it| !it.is_alive()) && !is_locked(cgroup)
}
