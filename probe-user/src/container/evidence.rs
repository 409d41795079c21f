//! Reads the facts that `trust` needs: the owner of a cgroup, and the start and the user of
//! an init process.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{
    record::Init,
    trust::{CgroupOwner, LivingInit, MappedUids},
};
use crate::{
    cgroup::{
        members::Members,
        mounts::{self, Mount, Mounts},
        pinned::{self, PinnedCgroup},
    },
    model::CgroupState,
    proc::{directory::ProcessDirectory, membership, stat::Stat, status::Status},
};

/// Where the cgroup mounts and `/proc` are.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) mounts: Mounts,
    /// `/proc`.
    pub(super) proc: PathBuf,
}

impl Evidence {
    /// The owner of a cgroup. With `hierarchy` `None` the first hierarchy that has the cgroup
    /// is used.
    pub(super) fn cgroup_owner(&self, hierarchy: Option<u32>, path: &str) -> Option<CgroupOwner> {
        let mounts = self.mounts.iter();
        mounts
            .filter(|mount| hierarchy.is_none_or(|it| it == mount.hierarchy))
            .find_map(|mount| {
                let directory = mount.directory_of(path)?;
                let uid = |path: &Path| {
                    if path.starts_with(&mount.mount_point) {
                        pinned::owner(mount, path)
                    } else {
                        Some(fs::symlink_metadata(path).ok()?.uid())
                    }
                };
                Some(CgroupOwner {
                    directory: uid(&directory)?,
                    parent: uid(directory.parent()?)?,
                })
            })
    }

    /// The current facts of a process; `None` if it does not exist.
    pub(super) fn living(&self, pid: u32) -> Option<LivingInit> {
        let process = self.process(pid)?;
        let uid_map = process.content("uid_map").unwrap_or_default();
        let uid_map = String::from_utf8_lossy(&uid_map);
        Some(LivingInit {
            start_ticks: start_ticks(&process)?,
            uid: Status::new(&process.content("status").ok()?).uid()?,
            uid_map: uid_map.lines().filter_map(mapped).collect(),
        })
    }

    /// Real uid and command line of the parent of a process.
    pub(super) fn parent(&self, pid: u32) -> Option<(u32, Vec<String>)> {
        let stat = self.process(pid)?.content("stat").ok()?;
        let parent = self.process(Stat::parse(&stat)?.ppid)?;
        let uid = Status::new(&parent.content("status").ok()?).uid()?;
        let arguments = parent.content("cmdline").ok()?;
        let arguments = arguments.split(|&byte| byte == 0);
        let arguments = arguments.map(|it| String::from_utf8_lossy(it).into_owned());
        Some((uid, arguments.collect()))
    }

    fn process(&self, pid: u32) -> Option<ProcessDirectory> {
        ProcessDirectory::open_path(self.proc.join(pid.to_string())).ok()
    }

    /// Whether a cgroup certainly has no process.
    pub(super) fn is_empty(&self, hierarchy: u32, path: &str) -> bool {
        let Some((mount, directory)) = self.place(hierarchy, path) else {
            return false;
        };
        match PinnedCgroup::open(mount, &directory) {
            Ok(pinned) => matches!(
                pinned.state(),
                Ok(CgroupState::Empty | CgroupState::Removed)
            ),
            Err(error) => error.missing().is_some(),
        }
    }

    /// Whether a mount shows a cgroup with this path, be it hidden by another mount.
    pub(super) fn exists(&self, hierarchy: u32, path: &str) -> bool {
        let place = self.place(hierarchy, path);
        place.is_some_and(|(mount, directory)| {
            let found = pinned::lookup(mount, &directory);
            !found.is_err_and(|error| error.missing().is_some())
        })
    }

    /// Every process in these cgroups and their descendants, as far as their lists can be read.
    pub(super) fn members(&self, cgroups: &[(u32, String)]) -> Vec<u32> {
        let mut members = Vec::new();
        for (hierarchy, path) in cgroups {
            if let Some((mount, directory)) = self.place(*hierarchy, path)
                && let Ok(directory) = pinned::lookup(mount, &directory)
            {
                members.extend(Members::of(directory.as_fd()).pids);
            }
        }
        members.sort_unstable();
        members.dedup();
        members
    }

    fn place(&self, hierarchy: u32, path: &str) -> Option<(&Mount, PathBuf)> {
        let mount = self.mounts.of_hierarchy(hierarchy)?;
        Some((mount, mount.directory_of(path)?))
    }

    /// Sorts v2 first, then the v1 hierarchies by [`mounts::rank`].
    pub(super) fn sort(&self, cgroups: &mut [(u32, String)]) {
        let rank = |hierarchy: u32| {
            let mount = self.mounts.of_hierarchy(hierarchy);
            (hierarchy != 0, mount.map_or(u8::MAX, mounts::rank))
        };
        cgroups.sort_by(|(a, path), (b, other)| (rank(*a), *a, path).cmp(&(rank(*b), *b, other)));
    }

    /// The pid and start of a process.
    pub(super) fn init(&self, pid: u32) -> Option<Init> {
        let start_ticks = start_ticks(&self.process(pid)?)?;
        Some(Init { pid, start_ticks })
    }

    /// Whether the recorded process still lives.
    pub(super) fn is_alive(&self, init: Init) -> bool {
        self.init(init.pid) == Some(init)
    }

    /// The leader of a machine. machined does not record its start, so the process must be
    /// in the machine's unit instead.
    pub(super) fn leader(&self, pid: u32, unit: &str) -> Option<Init> {
        let process = self.process(pid)?;
        let is_in_unit = !cgroups_in_unit(&process, unit)?.is_empty();
        let start_ticks = start_ticks(&process)?;
        is_in_unit.then_some(Init { pid, start_ticks })
    }

    /// Hierarchy id and path of the cgroups of a process that are in this unit.
    pub(super) fn cgroups_in_unit(&self, pid: u32, unit: &str) -> Vec<(u32, String)> {
        self.process(pid)
            .and_then(|it| cgroups_in_unit(&it, unit))
            .unwrap_or_default()
    }
}

fn cgroups_in_unit(process: &ProcessDirectory, unit: &str) -> Option<Vec<(u32, String)>> {
    let cgroups = process.content("cgroup").ok()?;
    let text = membership::text(&cgroups);
    let cgroups = membership::parse(&text).flatten();
    let in_unit = cgroups.filter(|it| it.path.split('/').any(|name| name == unit));
    Some(
        in_unit
            .map(|it| (it.hierarchy, it.path.to_owned()))
            .collect(),
    )
}

fn start_ticks(process: &ProcessDirectory) -> Option<u64> {
    Some(Stat::parse(&process.content("stat").ok()?)?.start_ticks)
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
