//! Processes that belonged to a cgroup and are in none any more: zombies, and
//! processes between leaving the cgroup and becoming one.
//!
//! Their `/proc/PID/cgroup` goes on naming the v2 cgroup, also when that is
//! removed. v1 shows `/` for every task that exits:
//! <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L6346>

use std::io;

use super::{
    directory::{ProcessDirectory, find_all},
    membership,
    stat::Stat,
};
use crate::model::is_within;

const REMOVED: &str = " (deleted)";

/// Pid and start, in `CLOCK_BOOTTIME` nanoseconds, of the processes whose v2 cgroup
/// is or was `path` or lies below it.
/// `is_removed`: that cgroup itself is gone, so a cgroup that bears its name now is
/// another.
pub fn find(path: &str, is_removed: bool) -> io::Result<Vec<(u32, u64)>> {
    let mut buffer = Vec::new();
    find_all(|pid| belongs(pid, &mut buffer, path, is_removed))
}

fn belongs(
    pid: u32,
    buffer: &mut Vec<u8>,
    path: &str,
    is_removed: bool,
) -> io::Result<Option<(u32, u64)>> {
    let directory = ProcessDirectory::open(pid)?;
    directory.read("cgroup", buffer)?;
    if !is_member(buffer, path, is_removed) {
        return Ok(None);
    }
    directory.read("stat", buffer)?;
    Ok(Some((pid, Stat::read(buffer)?.start_ns())))
}

/// Whether the v2 cgroup in `/proc/PID/cgroup` is the one, or lies below it.
fn is_member(file: &[u8], path: &str, is_removed: bool) -> bool {
    membership::parse(&membership::text(file))
        .flatten()
        .find(|it| it.hierarchy == 0)
        .is_some_and(|own| is_named(own.path, path, is_removed))
}

/// Whether `pathname`, as `/proc/PID/cgroup` has it, is `path` or lies below it.
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
    fn a_new_cgroup_is_not_the_removed_one_of_the_same_name() {
        assert!(is_named("/a", "/a", false));
        assert!(is_named("/a (deleted)", "/a", true));
        assert!(!is_named("/a (deleted)", "/a", false));
        assert!(!is_named("/a", "/a", true));
    }

    #[test]
    fn a_removed_cgroup_below_counts_whether_the_top_is_removed_or_not() {
        assert!(is_named("/a/b (deleted)", "/a", false));
        assert!(is_named("/a/b (deleted)", "/a", true));
        assert!(!is_named("/ab (deleted)", "/a", true));
    }
}
