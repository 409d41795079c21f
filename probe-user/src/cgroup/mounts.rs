//! Finds the mounts of the cgroup file systems, and converts between paths below a
//! hierarchy and directories.

use std::{
    fs, io,
    ops::Deref,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

use procfs::{
    FromRead, ProcError, ProcessCGroups,
    process::{MountInfo, MountInfos},
};

use super::path::join;
use crate::{model::CgroupId, proc::directory::ProcessDirectory};

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

/// Why the mounts could not be found.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message says what the fields are")]
pub enum MountError {
    /// `/proc` is not mounted, or the file cannot be read.
    #[error("cannot read /proc/self/{file}")]
    Read {
        file: &'static str,
        #[source]
        source: ProcError,
    },
}

/// The cgroup mounts of this process: v2 first, each hierarchy once. Every lookup
/// of a mount is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads the mounts from `/proc/self`.
    pub fn read() -> Result<Self, MountError> {
        let infos = read_own("mountinfo")?;
        let own = read_own("cgroup")?;
        Ok(Self::parse(&infos, &own))
    }

    /// Parses `/proc/PID/mountinfo` and `/proc/PID/cgroup`.
    #[must_use]
    pub fn parse(infos: &MountInfos, own: &ProcessCGroups) -> Self {
        let mut mounts: Vec<Mount> = infos
            .0
            .iter()
            .filter_map(|info| mount(info, &own.0))
            .collect();
        mounts.sort_by_cached_key(|it| (it.hierarchy, it.root.len(), it.mount_point.clone()));
        mounts.dedup_by_key(|mount| mount.hierarchy);
        Self(mounts)
    }

    /// The mount that a directory lies on, and the directory's path below the root
    /// of the hierarchy. The mount point with most components wins: `/sys/fs/cgroup`
    /// contains `/sys/fs/cgroup/pids`, and the kernel's lookup ends in the innermost.
    #[must_use]
    pub fn of_path(&self, directory: &Path) -> Option<(&Mount, String)> {
        let found = self
            .iter()
            .filter_map(|it| Some((it, it.path_of(directory)?)));
        found.max_by_key(|(it, _)| it.mount_point.components().count())
    }

    /// The mount of a hierarchy: 0 is v2.
    #[must_use]
    pub fn of_hierarchy(&self, hierarchy: u32) -> Option<&Mount> {
        self.iter().find(|it| it.hierarchy == hierarchy)
    }

    /// The mount of the v1 hierarchy with a controller, or with a name (`name=…`).
    #[must_use]
    pub(crate) fn of_controller(&self, controller: &str) -> Option<&Mount> {
        self.iter()
            .find(|it| it.controllers.iter().any(|own| own == controller))
    }

    /// The v1 hierarchy with the best [`rank`], if any is mounted.
    #[must_use]
    pub fn first_v1(&self) -> Option<u32> {
        let v1 = self.iter().filter(|it| it.hierarchy != 0);
        v1.min_by_key(|it| rank(it)).map(|it| it.hierarchy)
    }

    /// The directory of the cgroup at a path below the root of a hierarchy, see
    /// [`Mount::directory_of`].
    #[must_use]
    pub fn directory_of(&self, hierarchy: u32, path: &str) -> Option<PathBuf> {
        self.of_hierarchy(hierarchy)?.directory_of(path)
    }
}

impl Deref for Mounts {
    type Target = [Mount];

    fn deref(&self) -> &[Mount] {
        &self.0
    }
}

impl FromIterator<Mount> for Mounts {
    fn from_iter<I: IntoIterator<Item = Mount>>(mounts: I) -> Self {
        Self(mounts.into_iter().collect())
    }
}

impl Mount {
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

/// Reads a file of `/proc/self`. procfs takes UTF-8 only, but any user may mount a file system
/// at a path that is not. The bytes are replaced, so such a path equals no path of a cgroup.
fn read_own<T: FromRead>(file: &'static str) -> Result<T, MountError> {
    let content = ProcessDirectory::own().and_then(|it| it.content(file));
    content
        .map_err(ProcError::from)
        .and_then(|it| T::from_read(String::from_utf8_lossy(&it).as_bytes()))
        .map_err(|source| MountError::Read { file, source })
}

fn mount(info: &MountInfo, own: &[procfs::ProcessCGroup]) -> Option<Mount> {
    let (hierarchy, controllers) = match info.fs_type.as_str() {
        "cgroup2" => (0, Vec::new()),
        "cgroup" => v1_hierarchy(info, own)?,
        _ => return None,
    };
    Some(Mount {
        hierarchy,
        controllers,
        mount_point: info.mount_point.clone(),
        root: info.root.clone(),
    })
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

/// Rank of a hierarchy; the smallest names the cgroup of a process.
#[must_use]
pub fn rank(mount: &Mount) -> u8 {
    rank_of(mount.controllers.iter().map(String::as_str))
}

/// [`rank`] of a hierarchy with these controllers.
#[must_use]
pub(crate) fn rank_of<'a>(controllers: impl Iterator<Item = &'a str>) -> u8 {
    const ORDER: [&str; 4] = ["pids", "memory", "freezer", "name=systemd"];
    controllers
        .filter_map(|controller| ORDER.iter().position(|&known| known == controller))
        .min()
        .map_or(10, |position| u8::try_from(position).unwrap_or(10))
}

/// Identity of the mounted cgroup.
pub fn root(mount: &Mount) -> io::Result<CgroupId> {
    Ok(CgroupId {
        hierarchy: mount.hierarchy,
        id: fs::metadata(&mount.mount_point)?.ino(),
    })
}

/// Inode number of the root cgroup of every hierarchy.
const TOP_ID: u64 = 1;

/// The prefix that turns a path of the BPF programs, which starts at the root of the
/// hierarchy, into the path that this mount and `/proc` show. Inside a cgroup namespace
/// those paths start at another cgroup. `None` if the prefix cannot be known.
#[must_use]
pub(crate) fn path_prefix(mount: &Mount) -> Option<&str> {
    let is_top = root(mount).is_ok_and(|it| it.id == TOP_ID);
    path_prefix_at(&mount.root, is_top)
}

fn path_prefix_at(root: &str, is_top: bool) -> Option<&str> {
    match (root, is_top) {
        ("/", true) => Some(""),
        // The mount shows the whole hierarchy, and the namespace is further down.
        (above, true) => Some(above),
        // The mount shows the subtree of the namespace, or of one of its ancestors.
        ("/", false) => None,
        (above, false) if above.starts_with("/..") => None,
        // The mount shows a subtree, and paths start at the root of the hierarchy.
        (_, false) => Some(""),
    }
}

/// Calls `visit` with id and path of every cgroup below [`root`]. Cgroups that
/// vanish meanwhile are skipped; symbolic links are not followed.
pub fn walk(mount: &Mount, visit: &mut impl FnMut(CgroupId, String)) -> io::Result<()> {
    let mut pending = vec![(mount.mount_point.clone(), mount.root.clone())];
    while let Some((directory, path)) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if directory == mount.mount_point => return Err(error),
            Err(_vanished) => continue,
        };
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let child = join(&path, &entry.file_name().to_string_lossy());
            let id = CgroupId {
                hierarchy: mount.hierarchy,
                id: entry.ino(),
            };
            visit(id, child.clone());
            pending.push((entry.path(), child));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(controllers: &[&str]) -> Mount {
        Mount {
            hierarchy: 3,
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            mount_point: "/sys/fs/cgroup/x".into(),
            root: "/".to_owned(),
        }
    }

    fn rooted(root: &str) -> Mount {
        Mount {
            root: root.to_owned(),
            ..v1(&["pids"])
        }
    }

    #[test]
    fn pids_ranks_before_memory_and_unknown_controllers_rank_last() {
        assert!(rank(&v1(&["pids"])) < rank(&v1(&["memory"])));
        assert!(rank(&v1(&["name=systemd"])) < rank(&v1(&["cpu", "cpuacct"])));
    }

    #[test]
    fn paths_in_a_cgroup_namespace_have_a_prefix() {
        assert_eq!(path_prefix_at("/", true), Some(""));
        assert_eq!(path_prefix_at("/../..", true), Some("/../.."));
        assert_eq!(path_prefix_at("/a/b", false), Some(""));
        for unknown in ["/", "/..", "/../a"] {
            assert_eq!(path_prefix_at(unknown, false), None, "{unknown}");
        }
    }

    #[test]
    fn a_path_starts_at_the_root_of_the_hierarchy() {
        for (root, directory, path) in [
            ("/", "/sys/fs/cgroup/x/a/b", Some("/a/b")),
            ("/", "/sys/fs/cgroup/x", Some("/")),
            ("/", "/sys/fs/cgroup/y", None),
            ("/ns", "/sys/fs/cgroup/x/a", Some("/ns/a")),
        ] {
            let found = rooted(root).path_of(Path::new(directory));
            assert_eq!(found.as_deref(), path, "{directory} in {root}");
        }
    }

    #[test]
    fn the_directory_of_a_path_lacks_the_root_of_the_mount() {
        for (root, path, directory) in [
            ("/", "/a/b", Some("/sys/fs/cgroup/x/a/b")),
            ("/ns", "/ns/a", Some("/sys/fs/cgroup/x/a")),
            ("/../..", "/../../a", Some("/sys/fs/cgroup/x/a")),
            ("/", "/", Some("/sys/fs/cgroup/x")),
            ("/ns", "/ns", Some("/sys/fs/cgroup/x")),
            ("/ns", "/nsx", None),
            ("/ns", "/a", None),
            ("/", "a", None),
            ("/", "/..", None),
            ("/", "/a/../b", None),
            ("/", "/./a", None),
            ("/", "/../a", None),
        ] {
            let found = rooted(root).directory_of(path);
            assert_eq!(
                found.as_deref(),
                directory.map(Path::new),
                "{path} in {root}"
            );
        }
    }

    /// Mounts of a hybrid machine: v2, and v1 hierarchies below it.
    fn nested() -> Mounts {
        let mount = |hierarchy, mount_point: &str, controllers: &[&str]| Mount {
            hierarchy,
            mount_point: mount_point.into(),
            ..v1(controllers)
        };
        Mounts::from_iter([
            mount(0, "/c", &[]),
            mount(3, "/c/long-name", &["cpu", "cpuacct"]),
            mount(4, "/c/long-name/a", &["pids"]),
        ])
    }

    #[test]
    fn a_path_belongs_to_the_innermost_mount() {
        let mounts = nested();
        let found = |path: &str| {
            let (mount, below) = mounts.of_path(Path::new(path))?;
            Some((mount.hierarchy, below))
        };
        assert_eq!(found("/c/x"), Some((0, "/x".to_owned())));
        assert_eq!(found("/c/long-name/b"), Some((3, "/b".to_owned())));
        assert_eq!(found("/c/long-name/a/b"), Some((4, "/b".to_owned())));
        assert_eq!(found("/c/long-name2"), Some((0, "/long-name2".to_owned())));
        assert_eq!(found("/d"), None);
    }

    #[test]
    fn a_mount_is_found_by_hierarchy_and_by_controller() {
        let mounts = nested();
        let of_controller = |name| mounts.of_controller(name).map(|it| it.hierarchy);
        assert_eq!(of_controller("cpuacct"), Some(3));
        assert_eq!(of_controller("memory"), None);
        assert_eq!(mounts.first_v1(), Some(4));
        assert_eq!(Mounts::from_iter([mounts[0].clone()]).first_v1(), None);
        assert_eq!(
            mounts.directory_of(4, "/b"),
            Some("/c/long-name/a/b".into())
        );
        assert_eq!(mounts.directory_of(5, "/b"), None);
    }
}
