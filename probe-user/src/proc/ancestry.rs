//! Reads the parent of a process and its start time from `/proc`.

use super::{directory::ProcessDirectory, stat::Stat};
use crate::clock::tick_ns;

/// A process among the ancestors of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ancestor {
    /// Pid of its parent.
    pub(crate) ppid: u32,
    /// The clock tick in which it started, in `CLOCK_BOOTTIME` nanoseconds:
    /// from the beginning of the tick to its end.
    pub(crate) start_ns: (u64, u64),
}

/// Looks up a pid; `None` if no process has it, or the process is hidden from this one.
pub(crate) fn of(pid: u32) -> Option<Ancestor> {
    let file = ProcessDirectory::open(pid).ok()?.content("stat").ok()?;
    let stat = Stat::parse(&file)?;
    let start_ns = stat.start_ns();
    Some(Ancestor {
        ppid: stat.ppid,
        start_ns: (start_ns, start_ns.saturating_add(tick_ns())),
    })
}
