//! The directories of a run, one on each cgroup mount that the trials use.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use probe_fixture::{Mount, Scratch, mounts};

use crate::plan::{Hierarchy, Plan, Shape};

/// The prefix of the directories; the pid of the run follows.
const PREFIX: &str = "probe-soak-";

/// The directories of this run, which contain those of the trials.
#[derive(Debug)]
pub(crate) struct Mounts {
    v2: Scratch,
    /// Without v1, all trials run in v2.
    v1: Option<Scratch>,
    freezer: Option<Scratch>,
}

impl Mounts {
    /// Makes the directories of a soak, or those of a nested soak with this name, which the outer
    /// soak determines.
    pub(crate) fn prepare(nested: Option<&str>) -> Result<Self> {
        let mounts = mounts().context("read the mounts")?;
        let name = nested.map_or_else(own_name, str::to_owned);
        let make = |mount: &Mount| {
            // A pid namespace hides the pids of the other runs.
            if nested.is_none() {
                sweep(&mount.point);
            }
            create(&mount.point.join(&name))
        };
        let mounts: Vec<_> = mounts.iter().filter(|mount| mount.root == "/").collect();
        let find = |matches: &dyn Fn(&Mount) -> bool| mounts.iter().find(|it| matches(it));
        let v2 = find(&|it| it.is_v2).context("no cgroup v2 is mounted")?;
        let v1 = find(&|it| it.has_controller("pids"));
        let freezer = find(&|it| it.has_controller("freezer"));
        Ok(Self {
            v2: make(v2)?,
            freezer: freezer
                .filter(|it| v1.is_none_or(|v1| v1.point != it.point))
                .map(|it| make(it))
                .transpose()?,
            v1: v1.map(|it| make(it)).transpose()?,
        })
    }

    /// The directories in which a trial makes its cgroups, v2 first.
    pub(crate) fn of(&self, plan: &Plan) -> Vec<&Scratch> {
        let v1 = match plan.shape {
            Shape::Paused => &self.freezer,
            _ => &self.v1,
        };
        match (plan.hierarchy, v1) {
            (Hierarchy::V1, Some(v1)) => vec![v1],
            (Hierarchy::Both, Some(v1)) => vec![&self.v2, v1],
            _ => vec![&self.v2],
        }
    }

    /// Removes the directories; returns false if one is not empty.
    pub(crate) fn remove(&self) -> bool {
        let mut all = [&self.v2].into_iter().chain(&self.v1).chain(&self.freezer);
        all.all(|it| fs::remove_dir(it.directory()).is_ok())
    }
}

/// The name of the directories of this process.
pub(crate) fn own_name() -> String {
    format!("{PREFIX}{}", std::process::id())
}

/// Removes the directories of interrupted runs.
fn sweep(mount: &Path) {
    for entry in fs::read_dir(mount).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        // The name of a nested soak follows the pid.
        let pid = name.and_then(|name| name.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(Scratch::adopt(entry.path()));
        }
    }
}

pub(crate) fn create(path: &Path) -> Result<Scratch> {
    let made = Scratch::create(path.to_owned());
    made.with_context(|| format!("make {}", path.display()))
}
