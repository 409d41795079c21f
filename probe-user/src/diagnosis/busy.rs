//! Why a cgroup without processes cannot be removed.

use std::{fs, path::Path};

use serde::Serialize;

use super::observer::Observer;
use crate::cgroup::mounts::Mount;

/// What keeps an empty cgroup from being removed, or from being gone everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Obstacle {
    /// Cgroups below it: `rmdir` fails with EBUSY as long as there is one.
    Children {
        /// Directory of the first.
        path: String,
        /// How many there are directly below it.
        count: usize,
    },
    /// A file system that is mounted on the directory, or on one below it.
    Mount {
        /// Where it is mounted.
        path: String,
        /// Its type.
        file_system: String,
    },
    /// A cgroup with the same path in another hierarchy.
    OtherHierarchy {
        /// Directory of that cgroup.
        path: String,
    },
}

impl Obstacle {
    /// The obstacle for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Children { path, count: 1 } => {
                format!("rmdir fails while the cgroup {path} is below it")
            }
            Self::Children { path, count } => {
                let more = count - 1;
                format!("rmdir fails while the cgroup {path} and {more} more are below it")
            }
            Self::Mount { path, file_system } => {
                format!("rmdir fails while {file_system} is mounted at {path}")
            }
            Self::OtherHierarchy { path } => format!("another hierarchy has the cgroup {path}"),
        }
    }

    /// What removes the obstacle.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Children { .. } => "`probe kill --rm` removes those below, too".to_owned(),
            Self::Mount { path, .. } => format!("umount {path}"),
            Self::OtherHierarchy { path } => format!("rmdir {path}"),
        }
    }
}

/// What keeps the cgroup with this directory on the mount, which has no process.
#[must_use]
pub fn obstacles(mount: &Mount, directory: &Path, observer: &Observer) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let inside = observer.mount_infos().iter();
    let inside = inside.filter(|it| it.mount_point.starts_with(directory));
    // The directory may be the mount point of its own hierarchy.
    let inside = inside.filter(|it| it.mount_point != mount.mount_point);
    found.extend(inside.map(|it| Obstacle::Mount {
        path: it.mount_point.display().to_string(),
        file_system: it.fs_type.clone(),
    }));
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut children = entries.filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
    if let Some(first) = children.next() {
        found.push(Obstacle::Children {
            path: first.path().display().to_string(),
            count: 1 + children.count(),
        });
    }
    if let Some(path) = mount.path_of(directory) {
        let others = observer.mounts().iter();
        let others = others.filter(|it| it.hierarchy != mount.hierarchy);
        let others = others.filter_map(|it| it.directory_of(&path));
        found.extend(
            others
                .filter(|it| it.is_dir())
                .map(|it| Obstacle::OtherHierarchy {
                    path: it.display().to_string(),
                }),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_obstacle_has_words() {
        let path = || "/c/x".to_owned();
        let child = Obstacle::Children {
            path: path(),
            count: 3,
        };
        let text = "rmdir fails while the cgroup /c/x and 2 more are below it";
        assert_eq!(child.text(), text);
        let mount = Obstacle::Mount {
            path: path(),
            file_system: "ext4".to_owned(),
        };
        assert_eq!(mount.hint(), "umount /c/x");
    }
}
