//! The name of a run's cgroup, which identifies the process that made it.

use std::{ffi::OsStr, fmt, io};

use crate::proc::{
    directory::{ProcessDirectory, is_gone},
    send::exists,
    stat::Stat,
};

const PREFIX: &str = "probe-run-";

/// The name of a run's cgroup: `probe-run-PID-START`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunName {
    /// Pid of the process that runs the command, in its own pid namespace.
    pub pid: u32,
    /// Its start in clock ticks since boot, as `/proc/PID/stat` has it.
    pub start_ticks: u64,
}

impl RunName {
    /// The name for a cgroup of this process.
    pub fn own() -> io::Result<Self> {
        let file = ProcessDirectory::own()?.content("stat")?;
        let stat = Stat::read(&file)?;
        Ok(Self {
            pid: stat.pid,
            start_ticks: stat.start_ticks,
        })
    }

    /// Parses the name of a directory; `None` for other names.
    #[must_use]
    pub fn parse(name: &OsStr) -> Option<Self> {
        let (pid, start) = name.to_str()?.strip_prefix(PREFIX)?.split_once('-')?;
        let parsed = Self {
            pid: pid.parse().ok()?,
            start_ticks: start.parse().ok()?,
        };
        // Signs and leading zeros parse too, but no run has such a name.
        (name == OsStr::new(&parsed.to_string())).then_some(parsed)
    }

    /// Whether the process that made the cgroup lives in this pid namespace. A process that
    /// `/proc` does not show counts as alive if the pid is in use.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let file = ProcessDirectory::open(self.pid).and_then(|it| it.content("stat"));
        match file.and_then(|file| Ok(Stat::read(&file)?.start_ticks)) {
            Ok(start_ticks) => start_ticks == self.start_ticks,
            Err(error) if is_gone(&error) => exists(self.pid),
            Err(_) => true,
        }
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.pid, self.start_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_others_are_not() {
        let name = RunName {
            pid: 4711,
            start_ticks: 99,
        };
        assert_eq!(name.to_string(), "probe-run-4711-99");
        assert_eq!(RunName::parse("probe-run-4711-99".as_ref()), Some(name));
        for other in [
            "probe-run-4711",
            "probe-run-+1-2",
            "probe-run-01-2",
            "probe-run-1-2-3",
            "xprobe-run-1-2",
            "probe-run--1",
        ] {
            assert_eq!(RunName::parse(other.as_ref()), None, "{other}");
        }
    }

    #[test]
    fn the_pid_of_a_living_process_with_another_start_is_dead() {
        let own = RunName::own().expect("there is a /proc");
        assert_eq!(own.pid, std::process::id());
        assert!(own.is_alive());
        let earlier = RunName {
            start_ticks: own.start_ticks - 1,
            ..own
        };
        assert!(!earlier.is_alive());
    }
}
