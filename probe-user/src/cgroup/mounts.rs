//! The cgroup file systems: where they are mounted, which path an id has.

use std::{
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

use procfs::{
    ProcessCGroups,
    process::{MountInfo, MountInfos, Process},
};

use crate::model::CgroupId;

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// 0 for v2.
    pub hierarchy: u32,
    /// Controllers or `name=…`; empty for v2.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Which cgroup is mounted there: `/`, or more inside a cgroup namespace or
    /// behind a bind mount.
    pub root: String,
}

/// Why the mounts could not be found.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// `/proc` is not there or not readable.
    #[error("cannot read {file}")]
    Read {
        /// Which file.
        file: &'static str,
        /// Why.
        #[source]
        source: procfs::ProcError,
    },
}

/// All cgroup mounts, v2 first, each hierarchy once.
pub fn mounts() -> Result<Vec<Mount>, MountError> {
    let read = |file| move |source| MountError::Read { file, source };
    let this = Process::myself().map_err(read("/proc/self"))?;
    let infos = this.mountinfo().map_err(read("/proc/self/mountinfo"))?;
    let own = this.cgroups().map_err(read("/proc/self/cgroup"))?;
    Ok(hierarchies(&infos, &own))
}

/// The same, of what `/proc/PID/mountinfo` and `/proc/PID/cgroup` say.
#[must_use]
pub fn hierarchies(infos: &MountInfos, own: &ProcessCGroups) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = infos
        .0
        .iter()
        .filter_map(|info| mount(info, &own.0))
        .collect();
    mounts.sort_by(|a, b| {
        (a.hierarchy, a.root.len(), &a.mount_point).cmp(&(
            b.hierarchy,
            b.root.len(),
            &b.mount_point,
        ))
    });
    mounts.dedup_by_key(|mount| mount.hierarchy);
    mounts
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

/// The mount options name the controllers, `/proc/self/cgroup` their number.
fn v1_hierarchy(info: &MountInfo, own: &[procfs::ProcessCGroup]) -> Option<(u32, Vec<String>)> {
    own.iter()
        .filter(|group| group.hierarchy != 0)
        .find(|group| {
            group
                .controllers
                .iter()
                .all(|controller| match controller.strip_prefix("name=") {
                    Some(name) => {
                        info.super_options.get("name").and_then(Option::as_deref) == Some(name)
                    }
                    None => info.super_options.contains_key(controller),
                })
        })
        .map(|group| (group.hierarchy, group.controllers.clone()))
}

/// How good an answer a hierarchy is to "which cgroup": smaller is better.
#[must_use]
pub fn rank(mount: &Mount) -> u8 {
    rank_of(mount.controllers.iter().map(String::as_str))
}

/// The same of a hierarchy that has these controllers.
#[must_use]
pub fn rank_of<'a>(controllers: impl Iterator<Item = &'a str>) -> u8 {
    const ORDER: [&str; 4] = ["pids", "memory", "freezer", "name=systemd"];
    controllers
        .filter_map(|controller| ORDER.iter().position(|&known| known == controller))
        .min()
        .map_or(10, |position| u8::try_from(position).unwrap_or(10))
}

/// The cgroup that is mounted.
pub fn root(mount: &Mount) -> io::Result<CgroupId> {
    Ok(CgroupId {
        hierarchy: mount.hierarchy,
        id: fs::metadata(&mount.mount_point)?.ino(),
    })
}

/// The number of every hierarchy's first cgroup: the kernel counts from it.
const TOP_ID: u64 = 1;

/// What a path from the top of the hierarchy, as programs in the kernel report it,
/// lacks at its beginning to be the one that this mount and `/proc` show: inside a
/// cgroup namespace these count from somewhere else. `None` if nobody can tell.
#[must_use]
pub fn shown_before(mount: &Mount) -> Option<&str> {
    let is_top = root(mount).is_ok_and(|it| it.id == TOP_ID);
    shown_before_at(&mount.root, is_top)
}

fn shown_before_at(root: &str, is_top: bool) -> Option<&str> {
    match (root, is_top) {
        ("/", true) => Some(""),
        // All of the hierarchy, seen from a namespace further down.
        (above, true) => Some(above),
        // The namespace's own part of it, or one above that is not the top.
        ("/", false) => None,
        (above, false) if above.starts_with("/..") => None,
        // A part of it, mounted where paths count from the top.
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

fn join(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

/// Path below the root of the hierarchy of a directory on a mount.
#[must_use]
pub fn path_below(mount: &Mount, directory: &Path) -> Option<String> {
    let below = directory.strip_prefix(&mount.mount_point).ok()?;
    let below = below.to_string_lossy();
    Some(if below.is_empty() {
        mount.root.clone()
    } else {
        join(&mount.root, &below)
    })
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

    #[test]
    fn pids_comes_before_memory_and_unknown_ones_last() {
        assert!(rank(&v1(&["pids"])) < rank(&v1(&["memory"])));
        assert!(rank(&v1(&["name=systemd"])) < rank(&v1(&["cpu", "cpuacct"])));
    }

    #[test]
    fn in_a_cgroup_namespace_reported_paths_count_from_somewhere_else() {
        assert_eq!(shown_before_at("/", true), Some(""));
        assert_eq!(shown_before_at("/../..", true), Some("/../.."));
        assert_eq!(shown_before_at("/a/b", false), Some(""));
        for unknown in ["/", "/..", "/../a"] {
            assert_eq!(shown_before_at(unknown, false), None, "{unknown}");
        }
    }

    #[test]
    fn a_path_is_counted_from_the_root_of_the_hierarchy() {
        let mut mount = v1(&["pids"]);
        let below = |mount: &Mount, path: &str| path_below(mount, Path::new(path));
        assert_eq!(
            below(&mount, "/sys/fs/cgroup/x/a/b").as_deref(),
            Some("/a/b")
        );
        assert_eq!(below(&mount, "/sys/fs/cgroup/x").as_deref(), Some("/"));
        assert_eq!(below(&mount, "/sys/fs/cgroup/y"), None);
        mount.root = "/ns".to_owned();
        assert_eq!(
            below(&mount, "/sys/fs/cgroup/x/a").as_deref(),
            Some("/ns/a")
        );
    }
}
