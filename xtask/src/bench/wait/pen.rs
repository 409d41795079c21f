//! A cgroup for one kill.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};

const NAME: &str = "probe-bench-wait";
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory below the root of v2, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Pen {
    pub(super) directory: PathBuf,
    /// The kernel's id of it.
    pub(super) id: u64,
    kill: File,
    /// One of v1 with the same in it: both become empty at the same moment.
    v1: Option<PathBuf>,
}

impl Pen {
    pub(super) fn make() -> Result<Self> {
        let directory = root()?.join(NAME);
        match fs::remove_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.context("remove what is left of another run")?,
        }
        fs::create_dir(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
        let kill = directory.join("cgroup.kill");
        Ok(Self {
            id: fs::metadata(&directory)?.ino(),
            kill: File::options()
                .write(true)
                .open(&kill)
                .with_context(|| format!("open {} (needs Linux 5.14)", kill.display()))?,
            directory,
            v1: None,
        })
    }

    /// With a cgroup of v1 beside it.
    pub(super) fn make_with_v1() -> Result<Self> {
        let mut pen = Self::make()?;
        let directory = v1_root().context("no v1 hierarchy is mounted")?.join(NAME);
        if !directory.exists() {
            fs::create_dir(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
        }
        pen.v1 = Some(directory);
        Ok(pen)
    }

    /// Who is in it is in the one of v1 as well, if there is one.
    pub(super) fn join_v1(&self, pid: &str) -> Result<()> {
        match &self.v1 {
            Some(directory) => {
                fs::write(directory.join("cgroup.procs"), pid).context("move it into v1")
            }
            None => Ok(()),
        }
    }

    /// What is waited for.
    pub(super) fn asked(&self) -> &Path {
        self.v1.as_ref().unwrap_or(&self.directory)
    }

    /// Kills all in it; the moment before.
    pub(super) fn kill(&mut self) -> Result<u64> {
        let moment = monotonic_ns()?;
        self.kill.write_all(b"1").context("write cgroup.kill")?;
        Ok(moment)
    }

    /// Back when the kernel calls it frozen.
    pub(super) fn freeze(&self) -> Result<()> {
        self.set_frozen("1")?;
        let begun = Instant::now();
        while !self.events()?.contains("frozen 1") {
            ensure!(begun.elapsed() < PATIENCE, "it does not freeze");
            thread::yield_now();
        }
        Ok(())
    }

    pub(super) fn thaw(&self) -> Result<()> {
        self.set_frozen("0")
    }

    fn set_frozen(&self, value: &str) -> Result<()> {
        fs::write(self.directory.join("cgroup.freeze"), value).context("write cgroup.freeze")
    }

    fn events(&self) -> Result<String> {
        fs::read_to_string(self.directory.join("cgroup.events")).context("read cgroup.events")
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        // Nothing is left alive in it unless something failed.
        let _killed = self.kill.write_all(b"1");
        for directory in self.v1.iter().chain([&self.directory]) {
            remove(directory);
        }
    }
}

fn remove(directory: &Path) {
    let begun = Instant::now();
    while let Err(error) = fs::remove_dir(directory) {
        if error.kind() == ErrorKind::NotFound {
            break;
        }
        if begun.elapsed() > PATIENCE {
            eprintln!("left behind: {}: {error}", directory.display());
            break;
        }
        thread::yield_now();
    }
}

/// Where a hierarchy of v1 is mounted that anybody may be moved into.
pub(super) fn v1_root() -> Option<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let is_it = |line: &&str| {
        line.split_once(" - cgroup ")
            .is_some_and(|(_, rest)| rest.ends_with("pids") || rest.ends_with("freezer"))
    };
    let line = mountinfo.lines().find(is_it)?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// Where v2 is mounted.
fn root() -> Result<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").context("read mountinfo")?;
    let line = mountinfo.lines().find(|line| line.contains(" - cgroup2 "));
    let point = line.and_then(|line| line.split(' ').nth(4));
    Ok(Path::new(point.context("no cgroup v2 is mounted")?).to_owned())
}

/// The clock in which every program of the benchmark tells its moments.
pub(super) fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec)?;
    Ok(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}
