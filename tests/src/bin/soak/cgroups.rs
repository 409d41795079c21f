//! The cgroups of one trial. This file uses no code of the library under test.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use probe_fixture::Scratch;

use crate::{
    mounts::{self, Mounts},
    plan::{Plan, Shape},
};

/// Interval for polling a state that has no notification.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// The cgroups of one trial.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// Number of the trial.
    pub(crate) index: u64,
    /// The target in each hierarchy, v2 first.
    pub(crate) tops: Vec<Scratch>,
    /// Cgroups for processes outside of the target.
    refuges: Vec<Scratch>,
    /// The cgroups of the members when they begin, from the top down; for each its directory in
    /// every hierarchy.
    pub(crate) places: Vec<Vec<PathBuf>>,
    /// Cgroups among which the members or their threads move, as `places`.
    pub(crate) children: Vec<Vec<PathBuf>>,
}

impl Cgroups {
    pub(crate) fn make(mounts: &Mounts, plan: &Plan, index: u64) -> Result<Self> {
        let parents = mounts.of(plan);
        let all = |name: &str| -> Result<Vec<_>> {
            let mut name = OsString::from(format!("{name}-{index}"));
            name.push(OsStr::from_bytes(plan.name));
            let paths = parents.iter().map(|it| it.directory().join(&name));
            paths.map(|path| mounts::create(&path)).collect()
        };
        let mut tops = all("trial")?;
        let mut refuges = all("refuge")?;
        let below = |names: &[String]| -> Result<Vec<PathBuf>> {
            let paths = tops.iter().map(|top| {
                let path = names
                    .iter()
                    .fold(top.directory().to_owned(), |path, name| path.join(name));
                fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
                Ok(path)
            });
            paths.collect()
        };
        let mut places = vec![tops.iter().map(|top| top.directory().to_owned()).collect()];
        for depth in 1..plan.depth {
            places.push(below(&vec!["sub".to_owned(); depth])?);
        }
        let children = (0..plan.children).map(|child| below(&[format!("child-{child}")]));
        let children = children.collect::<Result<Vec<_>>>()?;
        if plan.shape == Shape::Threaded {
            for child in children.iter().flatten() {
                fs::write(child.join("cgroup.type"), "threaded")
                    .context("make a threaded cgroup")?;
            }
            if plan.aims_at_child {
                // Threads that leave the target move to the root of the threaded cgroups.
                refuges.append(&mut tops);
                tops.extend(children[0].iter().cloned().map(Scratch::adopt));
            }
        }
        Ok(Self {
            index,
            tops,
            refuges,
            places,
            children,
        })
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

    /// Kills by `cgroup.kill`; returns whether a hierarchy has it.
    pub(crate) fn kill_together(&self) -> bool {
        let kill = |top: &Scratch| fs::write(top.file("cgroup.kill"), "1").is_ok();
        self.tops.iter().any(kill)
    }

    /// Sends one SIGKILL to each listed process.
    pub(crate) fn kill_one_by_one(&self) {
        self.tops.iter().for_each(Scratch::kill_one_by_one);
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
                self.kill_one_by_one();
            }
        }
        Ok(())
    }

    /// The target in the hierarchy with this number, or in the only one.
    fn top(&self, hierarchy: usize) -> &Scratch {
        &self.tops[hierarchy % self.tops.len()]
    }

    /// Freezes the cgroup in one hierarchy and waits until it is frozen.
    pub(crate) fn freeze(&self, hierarchy: usize, patience: Duration) -> Result<()> {
        self.top(hierarchy).freeze(patience).context("freeze")
    }

    pub(crate) fn thaw(&self, hierarchy: usize) -> Result<()> {
        match self.top(hierarchy).thaw() {
            Err(error) if !self.is_removed() => Err(error).context("thaw"),
            _ => Ok(()),
        }
    }

    /// Whether frozen members of this hierarchy die before they are thawed.
    pub(crate) fn dies_frozen(&self, hierarchy: usize) -> bool {
        self.top(hierarchy).is_v2()
    }

    /// Moves a process to another cgroup.
    pub(crate) fn move_out(&self, pid: u32) {
        for refuge in &self.refuges {
            // It fails if the process has exited.
            let _moved = fs::write(refuge.file("cgroup.procs"), pid.to_string());
        }
    }

    /// Moves a process into the target.
    pub(crate) fn move_in(&self, pid: u32) {
        for top in &self.tops {
            // It fails if the process has exited.
            let _moved = fs::write(top.file("cgroup.procs"), pid.to_string());
        }
    }

    /// The directories for processes outside of the target.
    pub(crate) fn refuges(&self) -> Vec<&Path> {
        self.refuges.iter().map(Scratch::directory).collect()
    }

    pub(crate) fn kill_moved(&self) {
        self.refuges.iter().for_each(Scratch::kill_one_by_one);
    }

    /// Makes a cgroup below the last one and moves a process there.
    pub(crate) fn grow(&self, pid: u32) -> Result<()> {
        for place in self.places.last().into_iter().flatten() {
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
