//! The cgroup of one kill.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use fs_err as fs;
use probe_fixture::{Mount, Scratch, mounts};
use rustix::time::{ClockId, clock_gettime};

const NAME: &str = "probe-example";
/// How long the cgroup may take to freeze.
const PATIENCE: Duration = Duration::from_secs(10);

/// A v2 cgroup, removed with its processes when it is dropped.
pub(crate) struct Target {
    /// The kernel's id of the cgroup.
    pub(super) id: u64,
    kill: File,
    /// A v1 cgroup with the same processes: both become empty at the same moment.
    v1: Option<Scratch>,
    scratch: Scratch,
}

impl Target {
    pub(crate) fn create(with_v1: bool) -> Result<Self> {
        let mounts = mounts().context("read mountinfo")?;
        let v2 = mounts.into_iter().find(|it| it.is_v2);
        let directory = v2.context("no cgroup v2 is mounted")?.point.join(NAME);
        if directory.exists() {
            // Another run was killed.
            fs::remove_dir(&directory)?;
        }
        let scratch = create(&directory)?;
        let mut kill = fs::OpenOptions::new();
        let kill = kill.write(true).open(directory.join("cgroup.kill"));
        let v1 = if with_v1 {
            let v1 = v1_root().context("no v1 hierarchy is mounted")?.join(NAME);
            Some(if v1.exists() {
                Scratch::adopt(v1)
            } else {
                create(&v1)?
            })
        } else {
            None
        };
        Ok(Self {
            id: fs::metadata(&directory)?.ino(),
            kill: kill.context("cgroup.kill needs Linux 5.14")?.into_parts().0,
            v1,
            scratch,
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.scratch.directory()
    }

    /// The cgroup that programs wait for.
    pub(super) fn watched(&self) -> &Path {
        self.v1.as_ref().unwrap_or(&self.scratch).directory()
    }

    /// Moves a process into the v1 cgroup as well, if there is one.
    pub(super) fn move_to_v1(&self, pid: &str) -> Result<()> {
        match &self.v1 {
            Some(v1) => Ok(fs::write(v1.file("cgroup.procs"), pid)?),
            None => Ok(()),
        }
    }

    /// Kills every process; returns the moment before, in nanoseconds of
    /// `CLOCK_MONOTONIC`.
    pub(crate) fn kill(&mut self) -> Result<u64> {
        let now = clock_gettime(ClockId::Monotonic);
        self.kill.write_all(b"1").context("write cgroup.kill")?;
        Ok(u64::try_from(now.tv_sec)? * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
    }

    /// Returns when the kernel reports the cgroup frozen.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.scratch.freeze(PATIENCE).context("freeze the cgroup")
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.scratch.thaw().context("thaw the cgroup")
    }
}

fn create(directory: &Path) -> Result<Scratch> {
    let scratch = Scratch::create(directory.to_owned());
    scratch.with_context(|| format!("mkdir {}", directory.display()))
}

/// The mount of the v1 hierarchy of pids or of the freezer: they accept any process.
pub(super) fn v1_root() -> Option<PathBuf> {
    let is_suitable = |it: &Mount| it.has_controller("pids") || it.has_controller("freezer");
    Some(mounts().ok()?.into_iter().find(is_suitable)?.point)
}
