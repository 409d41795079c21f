//! One mount of a cgroup hierarchy: it converts between paths below the hierarchy and
//! directories.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use procfs::process::MountInfo;

use super::path::join;

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// 0 for v2.
    pub hierarchy: u32,
    /// Controllers or `name=…`; empty for v2.
    pub controllers: Vec<String>,
    /// The directory at which it is mounted.
    pub mount_point: PathBuf,
    /// Path of the mounted cgroup: `/`, or a longer path inside a cgroup namespace or
    /// behind a bind mount.
    pub root: String,
}

impl Mount {
    /// `None` if the file system is none of cgroups, or a v1 hierarchy that `own`, the list of
    /// the cgroups of a process, does not have.
    pub(super) fn of(info: &MountInfo, own: &[procfs::ProcessCGroup]) -> Option<Self> {
        let (hierarchy, controllers) = match info.fs_type.as_str() {
            "cgroup2" => (0, Vec::new()),
            "cgroup" => v1_hierarchy(info, own)?,
            _ => return None,
        };
        Some(Self {
            hierarchy,
            controllers,
            mount_point: info.mount_point.clone(),
            root: info.root.clone(),
        })
    }

    /// Path below the root of the hierarchy of a directory on this mount.
    #[must_use]
    pub fn path_of(&self, directory: &Path) -> Option<String> {
        let below = directory.strip_prefix(&self.mount_point).ok()?;
        let below = below.to_string_lossy();
        Some(if below.is_empty() {
            self.root.clone()
        } else {
            join(&self.root, &below)
        })
    }

    /// [`Self::path_of`] of a directory on this mount, byte for byte.
    pub(super) fn bytes_of(&self, directory: &Path) -> Vec<u8> {
        let below = directory.strip_prefix(&self.mount_point);
        let below = below.unwrap_or(Path::new(""));
        let mut path = self.root.as_bytes().to_vec();
        if !below.as_os_str().is_empty() {
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(below.as_os_str().as_bytes());
        }
        path
    }

    /// Directory on this mount of the cgroup at a path below the root of the
    /// hierarchy. `None` if the mount does not show that cgroup, and for `.` and `..`
    /// below [`root`](Self::root): no cgroup has such a name, and the path may come
    /// from a file that a user wrote.
    #[must_use]
    pub fn directory_of(&self, path: &str) -> Option<PathBuf> {
        let below = path.strip_prefix(self.root.trim_end_matches('/'))?;
        let is_whole = below.is_empty() || below.starts_with('/');
        let has_dots = below.split('/').any(|it| it == "." || it == "..");
        (is_whole && !has_dots).then(|| self.mount_point.join(below.trim_start_matches('/')))
    }
}

/// Number and controllers of a v1 hierarchy. The mount options name the controllers, and
/// `/proc/self/cgroup` has the number.
fn v1_hierarchy(info: &MountInfo, own: &[procfs::ProcessCGroup]) -> Option<(u32, Vec<String>)> {
    let options = &info.super_options;
    let has = |controller: &String| match controller.strip_prefix("name=") {
        Some(name) => options.get("name").and_then(Option::as_deref) == Some(name),
        None => options.contains_key(controller),
    };
    own.iter()
        .find(|group| group.hierarchy != 0 && group.controllers.iter().all(has))
        .map(|group| (group.hierarchy, group.controllers.clone()))
}
