//! Finds processes that have left their cgroup at their end: zombies, and processes that are
//! about to become zombies.
//!
//! Their `/proc/PID/cgroup` still names the v2 cgroup, even after its removal. v1 shows `/`
//! for every task that exits:
//! <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L6346>

use std::io;

use super::{
    directory::{ProcessDirectory, Search},
    membership,
    stat::Stat,
};
use crate::model::is_within;

const REMOVED: &str = " (deleted)";

/// Finds the processes in the v2 cgroup `path` or below it, now or until their end. With
/// `is_removed` that cgroup itself is gone, so a cgroup that has its name now is another one.
pub fn find(path: &str, is_removed: bool) -> io::Result<Search> {
    let mut buffer = Vec::new();
    Search::run(|pid| belongs(pid, &mut buffer, path, is_removed))
}

/// Finds the living processes in a cgroup of a v1 hierarchy or below it. The file of a process
/// names its cgroup at one moment, so a process that moves among the cgroups of the subtree is
/// found, while one list after the other may miss it.
pub fn find_v1(hierarchy: u32, path: &str) -> io::Result<Search> {
    let mut buffer = Vec::new();
    Search::run(|pid| {
        let directory = ProcessDirectory::open(pid)?;
        directory.read("cgroup", &mut buffer)?;
        let is_member = membership::parse(&membership::text(&buffer))
            .flatten()
            .any(|it| it.hierarchy == hierarchy && is_within(it.path, path));
        if !is_member {
            return Ok(None);
        }
        directory.read("stat", &mut buffer)?;
        Ok(Some((pid, Stat::read(&buffer)?.start_ns())))
    })
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

/// Whether the v2 cgroup in a `/proc/PID/cgroup` is the cgroup or lies below it.
fn is_member(file: &[u8], path: &str, is_removed: bool) -> bool {
    membership::parse(&membership::text(file))
        .flatten()
        .find(|it| it.hierarchy == 0)
        .is_some_and(|own| is_named(own.path, path, is_removed))
}

/// Whether `pathname`, as `/proc/PID/cgroup` shows it, is `path` or lies below it.
pub(crate) fn is_named(pathname: &str, path: &str, is_removed: bool) -> bool {
    match pathname.strip_suffix(REMOVED) {
        None => !is_removed && is_within(pathname, path),
        // If the cgroup is not removed, this is an older cgroup of the same name.
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
    fn a_removed_descendant_belongs_to_a_removed_and_to_a_present_cgroup() {
        assert!(is_named("/a/b (deleted)", "/a", false));
        assert!(is_named("/a/b (deleted)", "/a", true));
        assert!(!is_named("/ab (deleted)", "/a", true));
    }
}
