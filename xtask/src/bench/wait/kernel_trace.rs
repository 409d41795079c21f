//! The moment at which the kernel calls a cgroup empty, from its own trace of
//! `cgroup_notify_populated` and independent of probe.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use anyhow::{Context, Result};
use fs_err as fs;
use rustix::fs::{Mode, OFlags, open};

use crate::{bench::report, command};

const INSTANCE: &str = "instances/probe-bench";
const EVENT: &str = "events/cgroup/cgroup_notify_populated";

/// A trace instance, removed when it is dropped.
pub(super) struct KernelTrace {
    /// A tracefs that is not mounted any more: its files are reached through this.
    tracefs: OwnedFd,
    pipe: File,
}

impl KernelTrace {
    pub(super) fn start() -> Result<Self> {
        let tracefs = tracefs().context("mount a tracefs (needs root)")?;
        let instance = path_of(&tracefs).join(INSTANCE);
        if instance.exists() {
            // Another run was killed.
            fs::remove_dir(&instance)?;
        }
        fs::create_dir(&instance)?;
        fs::write(instance.join("trace_clock"), "mono")?;
        fs::write(instance.join(EVENT).join("filter"), "val == 0")?;
        fs::write(instance.join(EVENT).join("enable"), "1")?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = open(instance.join("trace_pipe"), flags, Mode::empty())?.into();
        Ok(Self { tracefs, pipe })
    }

    /// The moment at which the cgroup with this id became empty, in nanoseconds of
    /// `CLOCK_MONOTONIC`. Earlier events are lost.
    pub(super) fn empty_ns(&mut self, id: u64) -> Result<u64> {
        let mut unread = Vec::new();
        match self.pipe.read_to_end(&mut unread) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                return Err(error).context("read the kernel's trace");
            }
            _ => {}
        }
        let text = String::from_utf8_lossy(&unread);
        let found = text.lines().find_map(|line| moment_ns(line, id));
        found.with_context(|| format!("the kernel's trace does not name cgroup {id}"))
    }
}

impl Drop for KernelTrace {
    fn drop(&mut self) {
        let instance = path_of(&self.tracefs).join(INSTANCE);
        let disabled = fs::write(instance.join(EVENT).join("enable"), "0");
        // An open pipe would keep the instance.
        if let Ok(null) = File::open("/dev/null") {
            self.pipe = null;
        }
        if let Err(error) = disabled.and_then(|()| fs::remove_dir(&instance)) {
            eprintln!("left behind: trace instance probe-bench: {error}");
        }
    }
}

fn path_of(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// A tracefs that no other process sees mounted.
fn tracefs() -> Result<OwnedFd> {
    let place = report::directory()?.join("tracefs");
    fs::create_dir_all(&place)?;
    let mount = |line: &str| command::quiet(command::new(line).arg(&place));
    mount("mount -t tracefs tracefs")?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(&place, flags, Mode::empty());
    mount("umount --lazy")?;
    Ok(directory?)
}

/// `TASK-PID [CPU] FLAGS SECONDS.MICROS: cgroup_notify_populated: root=0 id=7 … val=0`
fn moment_ns(line: &str, id: u64) -> Option<u64> {
    let (head, event) = line.split_once(": cgroup_notify_populated: ")?;
    if !event.starts_with(&format!("root=0 id={id} ")) {
        return None;
    }
    let (seconds, micros) = head.rsplit(' ').next()?.split_once('.')?;
    let (seconds, micros): (u64, u64) = (seconds.parse().ok()?, micros.parse().ok()?);
    Some((seconds * 1_000_000 + micros) * 1000)
}

#[cfg(test)]
mod tests {
    use super::moment_ns;

    #[test]
    fn the_moment_is_read_from_the_line_of_the_cgroup() {
        let line = "         spawner-421   [001] dN.1. 18312.000042: \
                    cgroup_notify_populated: root=0 id=77 level=1 path=/a val=0";
        assert_eq!(moment_ns(line, 77), Some(18_312_000_042_000));
        assert_eq!(moment_ns(line, 7), None, "another cgroup");
        let v1 = line.replace("root=0", "root=3");
        assert_eq!(moment_ns(&v1, 77), None, "another hierarchy");
        assert_eq!(moment_ns("# tracer: nop", 77), None);
    }
}
