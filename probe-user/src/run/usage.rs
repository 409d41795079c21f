//! What a command has used, from the files of its cgroup.

use std::{io, time::Duration};

use crate::cgroup::control::CgroupControl;

/// CPU time of a cgroup and its descendants, also of those that were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Time in userspace and in the kernel.
    pub usage: Duration,
    /// Time in userspace.
    pub user: Duration,
    /// Time in the kernel.
    pub system: Duration,
}

/// What the processes of a run have used. A value is `None` if the cgroup lacks the controller,
/// or the kernel the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunUsage {
    /// CPU time, which every v2 cgroup counts.
    pub cpu: Option<Cpu>,
    /// Most memory at a time (Linux 5.19, memory controller).
    pub memory_peak_bytes: Option<u64>,
    /// Processes that the out-of-memory killer ended (memory controller).
    pub oom_kills: Option<u64>,
}

impl RunUsage {
    /// Reads the files.
    #[must_use]
    pub fn read(cgroup: &CgroupControl) -> Self {
        let file = |name| cgroup.read(name).ok();
        Self {
            cpu: file("cpu.stat").as_deref().and_then(cpu),
            memory_peak_bytes: file("memory.peak").and_then(|it| it.trim_end().parse().ok()),
            oom_kills: Self::oom_kills(cgroup).ok().flatten(),
        }
    }

    /// Reads the number of processes that the out-of-memory killer ended.
    pub fn oom_kills(cgroup: &CgroupControl) -> io::Result<Option<u64>> {
        Ok(field(&cgroup.read("memory.events")?, "oom_kill"))
    }
}

fn cpu(text: &str) -> Option<Cpu> {
    let time = |name| field(text, name).map(Duration::from_micros);
    Some(Cpu {
        usage: time("usage_usec")?,
        user: time("user_usec")?,
        system: time("system_usec")?,
    })
}

/// The number in the line of a name.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "low 0\noom 7\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "oom"), Some(7));
        assert_eq!(field(text, "peak"), None);
        let found = cpu("usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 0\n");
        assert_eq!(found.map(|it| it.usage), Some(Duration::from_micros(30)));
        assert_eq!(cpu("usage_usec 30\n"), None);
    }
}
