//! Processes that belonged to a cgroup and are in none any more: zombies, and
//! those between leaving it and becoming one.
//!
//! Their `/proc/PID/cgroup` goes on naming the v2 cgroup, also when that is
//! removed. v1 shows `/` for every task that exits:
//! <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L6346>

use std::io;

use procfs::{ProcError, ProcResult, process::Process};

use crate::{clock::tick_ns, model::is_within};

const REMOVED: &str = " (deleted)";

/// Pid and start, in `CLOCK_BOOTTIME` nanoseconds, of the processes whose v2 cgroup
/// is or was `path` or lies below it.
/// `is_removed`: that cgroup itself is gone, so whatever bears its name now is
/// another.
pub fn find(path: &str, is_removed: bool) -> io::Result<Vec<(u32, u64)>> {
    let processes = procfs::process::all_processes().map_err(io::Error::other)?;
    let mut found = Vec::new();
    for process in processes {
        match process.and_then(|process| belongs(&process, path, is_removed)) {
            Ok(Some(one)) => found.push(one),
            Ok(None) | Err(ProcError::NotFound(_)) => {}
            // Somebody hides it from us: then we do not wait for it either.
            Err(error) => tracing::debug!(%error, "a process that cannot be looked at"),
        }
    }
    Ok(found)
}

fn belongs(process: &Process, path: &str, is_removed: bool) -> ProcResult<Option<(u32, u64)>> {
    let cgroups = process.cgroups()?;
    let Some(own) = cgroups.0.iter().find(|it| it.hierarchy == 0) else {
        return Ok(None);
    };
    if !is_named(&own.pathname, path, is_removed) {
        return Ok(None);
    }
    let start_ns = process.stat()?.starttime.saturating_mul(tick_ns());
    Ok(Some((process.pid().cast_unsigned(), start_ns)))
}

pub(crate) fn is_named(pathname: &str, path: &str, is_removed: bool) -> bool {
    match pathname.strip_suffix(REMOVED) {
        None => !is_removed && is_within(pathname, path),
        // An older cgroup of the same name, if ours is still there.
        Some(own) if own == path => is_removed,
        Some(own) => is_within(own, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namesake_is_told_from_what_it_replaced() {
        assert!(is_named("/a", "/a", false));
        assert!(is_named("/a (deleted)", "/a", true));
        assert!(!is_named("/a (deleted)", "/a", false));
        assert!(!is_named("/a", "/a", true));
    }

    #[test]
    fn a_removed_cgroup_below_counts_whatever_became_of_the_top() {
        assert!(is_named("/a/b (deleted)", "/a", false));
        assert!(is_named("/a/b (deleted)", "/a", true));
        assert!(!is_named("/ab (deleted)", "/a", true));
    }
}
