//! A cgroup for one kill.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use probe_fixture::{Mount, Scratch, mounts};
use rustix::time::{ClockId, clock_gettime};

const NAME: &str = "probe-bench-wait";
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory below the root of v2, removed with its processes when it is dropped.
#[derive(Debug)]
pub(super) struct Pen {
    pub(super) directory: PathBuf,
    /// The kernel's id of it.
    pub(super) id: u64,
    kill: File,
    /// A cgroup of v1 with the same processes: both become empty at the same moment.
    v1: Option<Scratch>,
    scratch: Scratch,
}

impl Pen {
    pub(super) fn make() -> Result<Self> {
        let directory = root()?.join(NAME);
        if directory.exists() {
            fs::remove_dir(&directory).context("remove what is left of another run")?;
        }
        let scratch = create(&directory)?;
        let kill = directory.join("cgroup.kill");
        Ok(Self {
            id: fs::metadata(&directory)?.ino(),
            kill: File::options()
                .write(true)
                .open(&kill)
                .with_context(|| format!("open {} (needs Linux 5.14)", kill.display()))?,
            directory,
            v1: None,
            scratch,
        })
    }

    /// With a cgroup of v1 beside it.
    pub(super) fn make_with_v1() -> Result<Self> {
        let mut pen = Self::make()?;
        let directory = v1_root().context("no v1 hierarchy is mounted")?.join(NAME);
        pen.v1 = Some(if directory.exists() {
            Scratch::adopt(directory)
        } else {
            create(&directory)?
        });
        Ok(pen)
    }

    /// Moves a process into the cgroup of v1 as well, if there is one.
    pub(super) fn join_v1(&self, pid: &str) -> Result<()> {
        match &self.v1 {
            Some(v1) => fs::write(v1.file("cgroup.procs"), pid).context("move it into v1"),
            None => Ok(()),
        }
    }

    /// The cgroup that programs wait for.
    pub(super) fn asked(&self) -> &Path {
        self.v1.as_ref().map_or(&self.directory, Scratch::directory)
    }

    /// Kills every process in it; returns the moment before.
    pub(super) fn kill(&mut self) -> Result<u64> {
        let moment = monotonic_ns()?;
        self.kill.write_all(b"1").context("write cgroup.kill")?;
        Ok(moment)
    }

    /// Returns when the kernel reports it frozen.
    pub(super) fn freeze(&self) -> Result<()> {
        self.scratch.freeze(PATIENCE).context("freeze it")
    }

    pub(super) fn thaw(&self) -> Result<()> {
        self.scratch.thaw().context("thaw it")
    }
}

fn create(directory: &Path) -> Result<Scratch> {
    let mkdir = || format!("mkdir {}", directory.display());
    Scratch::create(directory.to_owned()).with_context(mkdir)
}

/// Where the v1 hierarchy of pids or of the freezer is mounted: its cgroups accept any
/// process.
pub(super) fn v1_root() -> Option<PathBuf> {
    let is_it = |it: &Mount| it.has_controller("pids") || it.has_controller("freezer");
    let found = mounts().ok()?.into_iter().find(is_it)?;
    Some(found.point)
}

/// Where v2 is mounted.
fn root() -> Result<PathBuf> {
    let mounts = mounts().context("read mountinfo")?;
    let v2 = mounts.into_iter().find(|it| it.is_v2);
    Ok(v2.context("no cgroup v2 is mounted")?.point)
}

/// The clock in which every program of the benchmark tells its moments.
pub(super) fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec)?;
    Ok(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}
