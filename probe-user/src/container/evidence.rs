//! The facts that `trust` judges by: who owns a cgroup, who an init process is.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use super::{
    record::Init,
    trust::{CgroupOwner, LivingInit, MappedUids},
};
use crate::source::cgroupfs::Mount;

/// Where to look.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) mounts: Vec<Mount>,
    /// `/proc`.
    pub(super) proc: PathBuf,
}

impl Evidence {
    /// Owner of a cgroup; `hierarchy` is `None` if any will do.
    pub(super) fn cgroup_owner(&self, hierarchy: Option<u32>, path: &str) -> Option<CgroupOwner> {
        let mounts = self.mounts.iter();
        mounts
            .filter(|mount| hierarchy.is_none_or(|it| it == mount.hierarchy))
            .find_map(|mount| {
                let directory = directory(mount, path)?;
                let uid = |path: &Path| Some(fs::symlink_metadata(path).ok()?.uid());
                Some(CgroupOwner {
                    directory: uid(&directory)?,
                    parent: uid(directory.parent()?)?,
                })
            })
    }

    /// A process as it is now; `None` if there is none.
    pub(super) fn living(&self, pid: u32) -> Option<LivingInit> {
        let directory = self.proc.join(pid.to_string());
        let process = Process::new_with_root(directory.clone()).ok()?;
        let uid_map = fs::read_to_string(directory.join("uid_map")).unwrap_or_default();
        Some(LivingInit {
            start_ticks: process.stat().ok()?.starttime,
            uid: process.status().ok()?.ruid,
            uid_map: uid_map.lines().filter_map(mapped).collect(),
        })
    }

    /// Whether the process is still the one that was recorded.
    pub(super) fn is_alive(&self, init: Init) -> bool {
        self.living(init.pid)
            .is_some_and(|living| living.start_ticks == init.start_ticks)
    }

    /// The leader of a machine. Nobody recorded its start: that it is in the
    /// machine's unit must do.
    pub(super) fn leader(&self, pid: u32, unit: &str) -> Option<Init> {
        let process = Process::new_with_root(self.proc.join(pid.to_string())).ok()?;
        let mut cgroups = process.cgroups().ok()?.0.into_iter();
        let is_in_unit = cgroups.any(|it| it.pathname.split('/').any(|name| name == unit));
        let start_ticks = process.stat().ok()?.starttime;
        is_in_unit.then_some(Init { pid, start_ticks })
    }
}

fn mapped(line: &str) -> Option<MappedUids> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(MappedUids {
        inside: next()?,
        outside: next()?,
        count: next()?,
    })
}

/// Directory of a cgroup on a mount; `None` if the mount does not show it.
fn directory(mount: &Mount, path: &str) -> Option<PathBuf> {
    let has_dots = path.split('/').any(|it| it == "." || it == "..");
    let below = path.strip_prefix(mount.root.trim_end_matches('/'))?;
    let is_whole = below.is_empty() || below.starts_with('/');
    (is_whole && !has_dots).then(|| mount.mount_point.join(below.trim_start_matches('/')))
}
