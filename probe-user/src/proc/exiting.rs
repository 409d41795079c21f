//! Processes that are dying: every task has begun to exit, not all have ended.
//!
//! On v1 nothing tells to which cgroup such a one belongs: `/proc/PID/cgroup`
//! shows `/`.

use std::io;

use procfs::{ProcError, ProcResult, process::Process};

use crate::clock::tick_ns;

/// `PF_EXITING` of `/proc/PID/stat`.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched.h#L1682>
const EXITING: u32 = 0x4;

/// Pid and start, in `CLOCK_BOOTTIME` nanoseconds, of each at this moment.
pub fn find() -> io::Result<Vec<(u32, u64)>> {
    let processes = procfs::process::all_processes().map_err(io::Error::other)?;
    let mut found = Vec::new();
    for process in processes {
        match process.and_then(|process| dying(&process)) {
            Ok(Some(dying)) => found.push(dying),
            Ok(None) | Err(ProcError::NotFound(_)) => {}
            // Somebody hides it from us: then we do not wait for it either.
            Err(error) => tracing::debug!(%error, "a process that cannot be looked at"),
        }
    }
    Ok(found)
}

fn dying(process: &Process) -> ProcResult<Option<(u32, u64)>> {
    let stat = process.stat()?;
    let has_ended = matches!(stat.state, 'Z' | 'X') && stat.num_threads <= 1;
    if stat.flags & EXITING == 0 || has_ended {
        return Ok(None);
    }
    // The flags are the leader's, who may go before the others.
    for task in process.tasks()? {
        match task.and_then(|task| task.stat()) {
            Ok(stat) if stat.flags & EXITING == 0 => return Ok(None),
            Ok(_) | Err(ProcError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let start_ns = stat.starttime.saturating_mul(tick_ns());
    Ok(Some((process.pid().cast_unsigned(), start_ns)))
}
