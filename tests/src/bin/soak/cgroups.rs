//! The cgroups of one trial. This file uses no code of the library under test.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use probe_fixture::{Mount, Scratch, mounts};

use crate::plan::{Hierarchy, Plan};

/// Interval for polling a state that has no notification.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// The directories of this run, which contain those of the trials.
#[derive(Debug)]
pub(crate) struct Mounts {
    v2: Scratch,
    /// Without v1, all trials run in v2.
    v1: Option<Scratch>,
}

impl Mounts {
    pub(crate) fn prepare() -> Result<Self> {
        let mounts = mounts().context("read the mounts")?;
        let name = format!("probe-soak-{}", std::process::id());
        let make = |mount: &Mount| {
            sweep(&mount.point);
            create(&mount.point.join(&name))
        };
        let mut mounts = mounts.iter().filter(|mount| mount.root == "/");
        let v1 = mounts.clone().find(|mount| mount.has_controller("pids"));
        let v2 = mounts.find(|mount| mount.is_v2);
        Ok(Self {
            v2: make(v2.context("no cgroup v2 is mounted")?)?,
            v1: v1.map(make).transpose()?,
        })
    }

    /// Removes the directories; returns false if one is not empty.
    pub(crate) fn remove(&self) -> bool {
        let mut all = [&self.v2].into_iter().chain(&self.v1);
        all.all(|it| fs::remove_dir(it.directory()).is_ok())
    }
}

/// Removes the directories of interrupted runs.
fn sweep(mount: &Path) {
    for entry in fs::read_dir(mount).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix("probe-soak-"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(Scratch::adopt(entry.path()));
        }
    }
}

fn create(path: &Path) -> Result<Scratch> {
    let made = Scratch::create(path.to_owned());
    made.with_context(|| format!("make {}", path.display()))
}

/// The cgroups of one trial.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// Number of the trial.
    pub(crate) index: u64,
    /// The top cgroup in each hierarchy, v2 first.
    pub(crate) tops: Vec<Scratch>,
    /// Cgroups for members that move out.
    refuges: Vec<Scratch>,
    depth: usize,
}

impl Cgroups {
    pub(crate) fn make(mounts: &Mounts, plan: &Plan, index: u64) -> Result<Self> {
        let v2 = &mounts.v2;
        let parents = match (plan.hierarchy, &mounts.v1) {
            (Hierarchy::V1, Some(v1)) => vec![v1],
            (Hierarchy::Both, Some(v1)) => vec![v2, v1],
            _ => vec![v2],
        };
        let all = |name: String| -> Result<Vec<_>> {
            parents.iter().map(|it| create(&it.file(&name))).collect()
        };
        let cgroups = Self {
            index,
            tops: all(format!("trial-{index}"))?,
            refuges: all(format!("refuge-{index}"))?,
            depth: plan.depth,
        };
        for path in cgroups.places().iter().skip(1).flatten() {
            fs::create_dir(path).with_context(|| format!("make {}", path.display()))?;
        }
        Ok(cgroups)
    }

    /// The cgroups from the top down; for each its directory in every hierarchy.
    pub(crate) fn places(&self) -> Vec<Vec<PathBuf>> {
        let below = |top: &Scratch, depth| {
            (0..depth).fold(top.directory().to_owned(), |it, _| it.join("sub"))
        };
        let place = |depth| self.tops.iter().map(|top| below(top, depth)).collect();
        (0..self.depth).map(place).collect()
    }

    /// Whether the kernel reports that no task is left: `populated` in v2. A removed cgroup is
    /// empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.tops.iter().all(|top| top.is_empty().unwrap_or(true))
    }

    /// All listed thread groups.
    pub(crate) fn listed(&self) -> Vec<u32> {
        let tops = self.tops.iter();
        tops.flat_map(|top| top.listed("cgroup.procs")).collect()
    }

    /// Sends one SIGKILL to each process; on v2 by `cgroup.kill` if `together`.
    pub(crate) fn kill_all(&self, together: bool) {
        let kill = |top: &Scratch| fs::write(top.file("cgroup.kill"), "1").is_ok();
        if !(together && self.tops.iter().any(kill)) {
            self.tops.iter().for_each(Scratch::kill_one_by_one);
        }
    }

    /// Waits until the cgroups are empty. With `kills` it kills repeatedly, because a process
    /// may fork after the list was read, and because `cgroup.kill` spares a process with an
    /// exited leader (Linux 6.18).
    pub(crate) fn wait_until_empty(&self, kills: bool, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        while !self.is_empty() {
            let is_late = begun.elapsed() > patience;
            ensure!(!is_late, "{:?} does not become empty", self.tops);
            thread::park_timeout(POLL_INTERVAL);
            if kills {
                self.kill_all(false);
            }
        }
        Ok(())
    }

    /// Freezes the v2 cgroup and waits until it is frozen.
    pub(crate) fn freeze(&self, patience: Duration) -> Result<()> {
        self.tops[0].freeze(patience).context("freeze")
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        match self.tops[0].thaw() {
            Err(error) if !self.is_removed() => Err(error).context("thaw"),
            _ => Ok(()),
        }
    }

    /// Moves a process to another cgroup.
    pub(crate) fn move_out(&self, pid: u32) {
        for refuge in &self.refuges {
            // It fails if the process has exited.
            let _moved = fs::write(refuge.file("cgroup.procs"), pid.to_string());
        }
    }

    pub(crate) fn kill_moved(&self) {
        self.refuges.iter().for_each(Scratch::kill_one_by_one);
    }

    /// Makes a cgroup below the last one and moves a process there.
    pub(crate) fn grow(&self, pid: u32) -> Result<()> {
        for place in self.places().last().into_iter().flatten() {
            let path = place.join("grown");
            fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
            // It fails if the process has exited.
            let _moved = fs::write(path.join("cgroup.procs"), pid.to_string());
        }
        Ok(())
    }

    /// Removes the cgroups, children first.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.tops.iter().try_for_each(Scratch::try_remove)
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.tops.iter().all(|top| !top.directory().exists())
    }

    /// Removes all cgroups after a trial, and kills what is left in them.
    pub(crate) fn clear(&self, patience: Duration) -> Result<()> {
        self.wait_until_empty(true, patience)?;
        let mut all = self.refuges.iter().chain(&self.tops);
        let removed = all.try_for_each(|it| it.remove(patience));
        removed.context("remove the cgroups")
    }
}
