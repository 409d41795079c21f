//! Who is whose child, and since when: as `/proc` has it now.

use procfs::{ProcError, process::Process};

use crate::clock::tick_ns;

/// A process as its children know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ancestor {
    /// Its own parent.
    pub(crate) ppid: u32,
    /// The clock tick in which it started, in `CLOCK_BOOTTIME` nanoseconds:
    /// from the beginning of the tick to its end.
    pub(crate) start_ns: (u64, u64),
}

/// `None`: nobody has this pid, or we may not look.
pub(crate) fn of(pid: u32) -> Option<Ancestor> {
    let stat = i32::try_from(pid)
        .map_err(|_too_large| ProcError::NotFound(None))
        .and_then(Process::new)
        .and_then(|process| process.stat())
        .ok()?;
    let start_ns = stat.starttime.saturating_mul(tick_ns());
    Some(Ancestor {
        ppid: u32::try_from(stat.ppid).ok()?,
        start_ns: (start_ns, start_ns.saturating_add(tick_ns())),
    })
}
