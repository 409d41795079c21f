//! The cgroups of one trial. This file uses no code of the library under test.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::plan::{Hierarchy, Plan};

/// Interval for polling a state that has no notification.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// The directories of this run, which contain those of the trials.
#[derive(Debug)]
pub(crate) struct Mounts {
    v2: PathBuf,
    /// Without v1, all trials run in v2.
    v1: Option<PathBuf>,
}

impl Mounts {
    pub(crate) fn prepare() -> Result<Self> {
        let text = fs::read_to_string("/proc/self/mountinfo").context("read the mounts")?;
        let v2 = find(&text, |kind, _| kind == "cgroup2").context("no cgroup v2 is mounted")?;
        let v1 = find(&text, |kind, options| {
            kind == "cgroup" && options.split(',').any(|it| it == "pids")
        });
        let name = format!("probe-soak-{}", std::process::id());
        let make = |mount: PathBuf| {
            sweep(&mount);
            let path = mount.join(&name);
            fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
            anyhow::Ok(path)
        };
        Ok(Self {
            v2: make(v2)?,
            v1: v1.map(make).transpose()?,
        })
    }

    /// Removes the directories; returns false if one is not empty.
    pub(crate) fn remove(&self) -> bool {
        let v1 = self.v1.as_ref();
        fs::remove_dir(&self.v2).is_ok() & v1.is_none_or(|v1| fs::remove_dir(v1).is_ok())
    }
}

/// Removes the directories of interrupted runs.
fn sweep(mount: &Path) {
    for path in children(mount) {
        let name = path.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.strip_prefix("probe-soak-"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            listed(&path, "cgroup.procs").into_iter().for_each(kill);
            // It fails while the last processes are exiting.
            let _removed = remove(&path);
        }
    }
}

fn find(mountinfo: &str, is_it: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        (root == "/" && is_it(kind, options)).then(|| point.into())
    })
}

/// The cgroups of one trial.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// Number of the trial.
    pub(crate) index: u64,
    /// The top cgroup in each hierarchy, v2 first.
    pub(crate) tops: Vec<PathBuf>,
    refuges: Vec<PathBuf>,
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
        let all = |name: String| parents.iter().map(|it| it.join(&name)).collect();
        let cgroups = Self {
            index,
            tops: all(format!("trial-{index}")),
            refuges: all(format!("refuge-{index}")),
            depth: plan.depth,
        };
        for path in cgroups.places().iter().flatten().chain(&cgroups.refuges) {
            fs::create_dir(path).with_context(|| format!("make {}", path.display()))?;
        }
        Ok(cgroups)
    }

    /// The cgroups from the top down; for each its directory in every hierarchy.
    pub(crate) fn places(&self) -> Vec<Vec<PathBuf>> {
        let below = |top: &PathBuf, depth| (0..depth).fold(top.clone(), |it, _| it.join("sub"));
        let place = |depth| self.tops.iter().map(|top| below(top, depth)).collect();
        (0..self.depth).map(place).collect()
    }

    /// Whether the kernel reports that no task is left: `populated` in v2.
    pub(crate) fn is_empty(&self) -> bool {
        self.tops.iter().all(|top| is_empty(top))
    }

    /// All listed thread groups.
    pub(crate) fn listed(&self) -> Vec<u32> {
        self.tops
            .iter()
            .flat_map(|top| listed(top, "cgroup.procs"))
            .collect()
    }

    /// Sends one SIGKILL to each process; on v2 by `cgroup.kill` if `together`.
    pub(crate) fn kill_all(&self, together: bool) {
        let killed = together
            && self
                .tops
                .iter()
                .any(|top| fs::write(top.join("cgroup.kill"), "1").is_ok());
        if !killed {
            self.listed().into_iter().for_each(kill);
        }
    }

    /// Waits until the cgroups are empty. With `kills` it kills repeatedly, because a process
    /// may fork after the list was read, and because `cgroup.kill` spares a process with an
    /// exited leader (Linux 6.18).
    pub(crate) fn wait_until_empty(&self, kills: bool, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        while !self.is_empty() {
            if begun.elapsed() > patience {
                bail!("{:?} does not become empty", self.tops);
            }
            thread::park_timeout(POLL_INTERVAL);
            if kills {
                self.kill_all(false);
            }
        }
        Ok(())
    }

    /// Freezes the v2 cgroup and waits until it is frozen.
    pub(crate) fn freeze(&self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        fs::write(self.tops[0].join("cgroup.freeze"), "1").context("freeze")?;
        while !events(&self.tops[0])
            .context("frozen")?
            .contains("frozen 1")
        {
            if begun.elapsed() > patience {
                bail!("{:?} does not freeze", self.tops);
            }
            thread::park_timeout(POLL_INTERVAL / 4);
        }
        Ok(())
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        match fs::write(self.tops[0].join("cgroup.freeze"), "0") {
            Err(error) if !is_gone(&error) => Err(error).context("thaw"),
            _ => Ok(()),
        }
    }

    /// Moves a process to another cgroup.
    pub(crate) fn move_out(&self, pid: u32) {
        for refuge in &self.refuges {
            // The write fails if the process has exited.
            let _moved = fs::write(refuge.join("cgroup.procs"), pid.to_string());
        }
    }

    pub(crate) fn kill_moved(&self) {
        for refuge in &self.refuges {
            listed(refuge, "cgroup.procs").into_iter().for_each(kill);
        }
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
        self.tops.iter().try_for_each(|top| remove(top))
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.tops.iter().all(|top| !top.exists())
    }

    /// Removes all cgroups after a trial, and kills what is left in them.
    pub(crate) fn clear(&self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        self.wait_until_empty(true, patience)?;
        while let Err(error) = self
            .refuges
            .iter()
            .chain(&self.tops)
            .try_for_each(|it| remove(it))
        {
            if begun.elapsed() > patience {
                return Err(error).context("clear the cgroups");
            }
            self.kill_moved();
            self.kill_all(false);
            thread::park_timeout(POLL_INTERVAL);
        }
        Ok(())
    }
}

pub(crate) fn events(cgroup: &Path) -> io::Result<String> {
    fs::read_to_string(cgroup.join("cgroup.events"))
}

/// Whether the cgroup was removed: ENOENT by path, ENODEV in an open file.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

fn is_empty(top: &Path) -> bool {
    match events(top) {
        Ok(events) => events.contains("populated 0"),
        Err(_) => listed(top, "tasks").is_empty() && listed(top, "cgroup.procs").is_empty(),
    }
}

pub(crate) fn listed(cgroup: &Path, file: &str) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.join(file)).unwrap_or_default();
    let mut pids: Vec<u32> = text.lines().filter_map(|pid| pid.parse().ok()).collect();
    for child in children(cgroup) {
        pids.extend(listed(&child, file));
    }
    pids
}

fn children(cgroup: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove(cgroup: &Path) -> io::Result<()> {
    children(cgroup)
        .iter()
        .try_for_each(|child| remove(child))?;
    match fs::remove_dir(cgroup) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // The process may have died since it was listed.
    let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
}
