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
        })
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
        let begun = Instant::now();
        while let Err(error) = fs::remove_dir(&self.directory) {
            if error.kind() == ErrorKind::NotFound {
                break;
            }
            if begun.elapsed() > PATIENCE {
                eprintln!("left behind: {}: {error}", self.directory.display());
                break;
            }
            thread::yield_now();
        }
    }
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
