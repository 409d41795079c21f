//! Finds the mounts of the cgroup file systems, and walks the cgroups below one.

use std::{
    fs, io,
    ops::Deref,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use procfs::{
    FromRead, ProcError, ProcessCGroups,
    process::{MountInfo, MountInfos},
};

pub use super::mount::Mount;
use super::{
    mountinfo,
    open::{descend, hidden},
    path::join,
    walk::{Step, Walk},
};
use crate::model::CgroupId;

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
pub struct Mounts {
    /// The first mount of each hierarchy.
    first: Vec<Mount>,
    /// Further mounts of these hierarchies.
    further: Vec<Mount>,
}

impl Mounts {
    /// Reads the mounts from `/proc/self`.
    pub fn read() -> Result<Self, MountError> {
        let infos = read_own("mountinfo")?;
        let own = read_own("cgroup")?;
        Ok(Self::parse(&infos, &own))
    }

    /// Parses `/proc/PID/mountinfo` and `/proc/PID/cgroup`. A mount that another one hides
    /// is left out.
    #[must_use]
    pub fn parse(infos: &MountInfos, own: &ProcessCGroups) -> Self {
        let is_visible = |info: &&MountInfo| {
            let found = mountinfo::of_path(&infos.0, &info.mount_point);
            found.is_none_or(|it| it.mnt_id == info.mnt_id)
        };
        let mounts = infos.0.iter().filter(|it| is_cgroup(it));
        let mounts = mounts.filter(is_visible);
        let mut mounts: Vec<Mount> = mounts.filter_map(|it| Mount::of(it, &own.0)).collect();
        mounts.sort_by_cached_key(|it| (it.hierarchy, it.root.len(), it.mount_point.clone()));
        mounts.into_iter().collect()
    }

    /// The mount that a directory lies on, and the directory's path below the root
    /// of the hierarchy. The mount point with most components wins: `/sys/fs/cgroup`
    /// contains `/sys/fs/cgroup/pids`, and the kernel's lookup ends in the innermost.
    #[must_use]
    pub fn of_path(&self, directory: &Path) -> Option<(&Mount, String)> {
        let all = self.first.iter().chain(&self.further);
        let found = all.filter_map(|it| Some((it, it.path_of(directory)?)));
        found.max_by_key(|(it, _)| it.mount_point.components().count())
    }

    /// The mount of a hierarchy: 0 is v2.
    #[must_use]
    pub fn of_hierarchy(&self, hierarchy: u32) -> Option<&Mount> {
        self.iter().find(|it| it.hierarchy == hierarchy)
    }

    /// Only the mounts that satisfy `is_wanted`.
    #[must_use]
    pub fn filtered(&self, is_wanted: impl Fn(&Mount) -> bool) -> Self {
        let mounts = self.first.iter().chain(&self.further);
        mounts.filter(|it| is_wanted(it)).cloned().collect()
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
        &self.first
    }
}

impl FromIterator<Mount> for Mounts {
    fn from_iter<I: IntoIterator<Item = Mount>>(all: I) -> Self {
        let mut mounts = Self::default();
        for mount in all {
            let is_known = mounts.of_hierarchy(mount.hierarchy).is_some();
            let list = if is_known {
                &mut mounts.further
            } else {
                &mut mounts.first
            };
            list.push(mount);
        }
        mounts
    }
}

/// Reads a file of `/proc/self`. procfs takes UTF-8 only, but any user may mount a file system
/// at a path that is not. The bytes are replaced, so such a path equals no path of a cgroup.
pub(super) fn read_own<T: FromRead>(file: &'static str) -> Result<T, MountError> {
    fs::read(Path::new("/proc/self").join(file))
        .map_err(ProcError::from)
        .and_then(|it| T::from_read(String::from_utf8_lossy(&it).as_bytes()))
        .map_err(|source| MountError::Read { file, source })
}

/// Whether the mount shows a hierarchy.
fn is_cgroup(info: &MountInfo) -> bool {
    matches!(info.fs_type.as_str(), "cgroup" | "cgroup2")
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

pub(super) fn path_prefix_at(root: &str, is_top: bool) -> Option<&str> {
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

/// Calls `visit` with id and path of every cgroup below [`root`]. Cgroups that vanish
/// meanwhile, that this user may not list or that a mount hides are skipped.
pub fn walk(mount: &Mount, visit: &mut impl FnMut(CgroupId, String)) -> io::Result<()> {
    let top = descend(&mount.mount_point, Path::new("")).map_err(|it| it.source)?;
    walk_below(top.as_fd(), mount.hierarchy, &mount.root, visit)
}

/// [`walk`] of the descendants of an open cgroup with this path.
pub(super) fn walk_below(
    top: BorrowedFd<'_>,
    hierarchy: u32,
    path: &str,
    visit: &mut impl FnMut(CgroupId, String),
) -> io::Result<()> {
    let mut walk = Walk::of(top)?;
    loop {
        match walk.step() {
            Ok(Some(Step::Enter)) if !walk.path().is_empty() => {
                let below = String::from_utf8_lossy(&walk.path()[1..]);
                let id = walk.id();
                visit(CgroupId { hierarchy, id }, join(path, &below));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) if hidden(&error).is_some() => tracing::debug!("{error}"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
}
