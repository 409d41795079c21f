//! The moment at which the kernel calls a cgroup empty: its own trace of
//! `cgroup_notify_populated`, apart from anything of ours.
//!
//! An instance of its own in a tracefs that nobody else sees mounted. It keeps
//! microseconds.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, open};

use crate::{bench::report, command};

const INSTANCE: &str = "instances/probe-bench";
const EVENT: &str = "events/cgroup/cgroup_notify_populated";

/// The kernel stops to trace when it is dropped.
#[derive(Debug)]
pub(super) struct Flips {
    /// Of a tracefs that is mounted nowhere any more: its files are found
    /// through this.
    tracefs: OwnedFd,
    pipe: File,
    unread: String,
}

impl Flips {
    pub(super) fn trace() -> Result<Self> {
        let tracefs = tracefs().context("mount a tracefs (needs root)")?;
        let root = path_of(&tracefs);
        let instance = root.join(INSTANCE);
        if instance.exists() {
            // Of a run that was killed.
            fs::remove_dir(&instance).context("remove what is left of another run")?;
        }
        fs::create_dir(&instance).context("make a trace instance")?;
        let set = |file: &str, value: &str| {
            fs::write(instance.join(file), value).with_context(|| format!("set {file}"))
        };
        set("trace_clock", "mono")?;
        set(&format!("{EVENT}/filter"), "val == 0")?;
        set(&format!("{EVENT}/enable"), "1")?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = open(instance.join("trace_pipe"), flags, Mode::empty())?;
        Ok(Self {
            tracefs,
            pipe: pipe.into(),
            unread: String::new(),
        })
    }

    /// When the cgroup with this id became empty, in nanoseconds of
    /// `CLOCK_MONOTONIC`. What came before is forgotten.
    pub(super) fn of(&mut self, id: u64) -> Result<u64> {
        let mut bytes = [0; 1 << 14];
        loop {
            match self.pipe.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => self
                    .unread
                    .push_str(&String::from_utf8_lossy(&bytes[..count])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("read the kernel's trace"),
            }
        }
        let text = std::mem::take(&mut self.unread);
        let found = text.lines().find_map(|line| moment_ns(line, id));
        found.with_context(|| format!("the kernel's trace does not name cgroup {id}"))
    }
}

impl Drop for Flips {
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

fn tracefs() -> Result<OwnedFd> {
    let place = report::directory()?.join("tracefs");
    fs::create_dir_all(&place)?;
    let mount = |words: &[&str], place: &Path| {
        command::quiet(Command::new(words[0]).args(&words[1..]).arg(place))
    };
    mount(&["mount", "-t", "tracefs", "tracefs"], &place)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(&place, flags, Mode::empty());
    mount(&["umount", "--lazy"], &place)?;
    Ok(directory?)
}

/// `TASK-PID [CPU] FLAGS SECONDS.MICROS: cgroup_notify_populated: root=0 id=7 level=1 path=/x val=0`
fn moment_ns(line: &str, id: u64) -> Option<u64> {
    let (head, event) = line.split_once(": cgroup_notify_populated: ")?;
    let mut words = event.split(' ');
    if words.next() != Some("root=0") || words.next()? != format!("id={id}") {
        return None;
    }
    let (seconds, micros) = head.rsplit(' ').next()?.split_once('.')?;
    let (seconds, micros): (u64, u64) = (seconds.parse().ok()?, micros.parse().ok()?);
    Some((seconds * 1_000_000 + micros) * 1000)
}

#[cfg(test)]
mod tests {
    use super::moment_ns;

    const LINE: &str = "            herd-421   [001] dN.1. 18312.000042: \
                        cgroup_notify_populated: root=0 id=77 level=1 path=/a val=0";

    #[test]
    fn a_line_of_the_trace_names_its_moment() {
        assert_eq!(moment_ns(LINE, 77), Some(18_312_000_042_000));
    }

    #[test]
    fn another_cgroup_is_another_flip() {
        assert_eq!(moment_ns(LINE, 7), None);
        assert_eq!(moment_ns("# tracer: nop", 77), None);
        let v1 = LINE.replace("root=0", "root=3");
        assert_eq!(moment_ns(&v1, 77), None);
    }
}
