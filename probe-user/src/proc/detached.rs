//! Finds processes that have left their v2 cgroup at their end: zombies, and processes that are
//! about to become zombies.
//!
//! The kernel remembers the v2 cgroup of a process until the process is reaped, even after the
//! removal of the cgroup (on v1 a process that exits is shown in the root). `PIDFD_GET_INFO`
//! (Linux 6.13) tells the id of that cgroup, and of two cgroups the later one has the larger
//! id: <https://elixir.bootlin.com/linux/v6.12/source/fs/kernfs/dir.c#L641>. `/proc/PID/cgroup`
//! has only the path, with ` (deleted)` behind it once the cgroup is removed. Another cgroup
//! may have had the same path before or may have it now, and a name may end in ` (deleted)`.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    directory::{ProcessDirectory, Search},
    membership, pidfd_info,
    stat::Stat,
};
use crate::cgroup::pinned::PinnedCgroup;

const REMOVED: &[u8] = b" (deleted)";

/// Searches the v2 cgroup and its descendants, present or removed, for processes that are in
/// them now or were until their end. With `is_removed` the cgroup itself is gone. The search is
/// incomplete if the cgroup of a process is not known.
pub fn find(cgroup: &PinnedCgroup, is_removed: bool) -> io::Result<Search> {
    let family = Family::of(cgroup, is_removed);
    let mut buffer = Vec::new();
    let mut is_known = true;
    let mut search = Search::run(|pid| {
        let (relation, start_ns) = look(pid, &family, &mut buffer)?;
        is_known &= relation != Relation::Unknown;
        Ok((relation == Relation::Member).then_some((pid, start_ns)))
    })?;
    search.is_complete &= is_known;
    Ok(search)
}

/// Finds the living processes in a v1 cgroup or below it. The file of a process names its cgroup
/// at one moment, so a process that moves among the cgroups of the subtree is found, while one
/// list after the other may miss it.
pub fn find_v1(cgroup: &PinnedCgroup) -> io::Result<Search> {
    let path = cgroup.present_path();
    let mut buffer = Vec::new();
    Search::run(|pid| {
        let directory = ProcessDirectory::open(pid)?;
        directory.read("cgroup", &mut buffer)?;
        let own = membership::path_in(&buffer, cgroup.id.hierarchy);
        if !own.is_some_and(|it| it == path || is_below(it, &path)) {
            return Ok(None);
        }
        directory.read("stat", &mut buffer)?;
        Ok(Some((pid, Stat::read(&buffer)?.start_ns())))
    })
}

fn look(pid: u32, family: &Family<'_>, buffer: &mut Vec<u8>) -> io::Result<(Relation, u64)> {
    let directory = ProcessDirectory::open(pid)?;
    let id = open_pidfd(pid).and_then(|it| pidfd_info::cgroup_id(it.as_fd()).ok().flatten());
    let relation = match id.and_then(|id| family.by_id(id)) {
        Some(relation) => relation,
        None => match directory.read("cgroup", buffer) {
            Ok(()) => membership::path_in(buffer, 0)
                .map_or(Relation::Stranger, |path| family.by_path(path, id)),
            // The path is longer than the kernel prints.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NAMETOOLONG) => {
                Relation::Unknown
            }
            Err(error) => return Err(error),
        },
    };
    if relation != Relation::Member {
        return Ok((relation, 0));
    }
    // If this succeeds, the process of the directory was not reaped before, so the pidfd
    // is its own, too.
    directory.read("stat", buffer)?;
    Ok((relation, Stat::read(buffer)?.start_ns()))
}

fn open_pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Member,
    Stranger,
    /// The path of the process does not decide.
    Unknown,
}

/// A cgroup and its descendants.
#[derive(Debug, Default)]
pub(crate) struct Family<'a> {
    pub(crate) id: u64,
    /// Path below the root of the hierarchy.
    pub(crate) path: &'a [u8],
    pub(crate) is_removed: bool,
    /// Ids of the cgroup and the present descendants.
    pub(crate) present: HashSet<u64>,
    /// Id of the later cgroup that has the path now.
    pub(crate) successor: Option<u64>,
    /// Whether a cgroup exists with the path that `/proc/PID/cgroup` shows for this cgroup after
    /// its removal.
    pub(crate) has_double: bool,
}

impl<'a> Family<'a> {
    fn of(cgroup: &'a PinnedCgroup, is_removed: bool) -> Self {
        let mut present = HashSet::new();
        if !is_removed && let Err(error) = cgroup.walk(&mut |it, _| _ = present.insert(it.id)) {
            tracing::debug!(%error, "cannot read the descendants of a cgroup");
        }
        Self {
            id: cgroup.id.id,
            path: cgroup.below(),
            is_removed,
            present,
            successor: cgroup.namesake("").filter(|_| is_removed),
            has_double: is_removed && cgroup.namesake(" (deleted)").is_some(),
        }
    }

    /// Decides by the id of the cgroup of a process, if that is enough.
    fn by_id(&self, id: u64) -> Option<Relation> {
        if id == self.id || self.present.contains(&id) {
            return Some(Relation::Member);
        }
        let is_older = id < self.id;
        let is_successors = self.successor.is_some_and(|it| it <= id);
        (is_older || is_successors).then_some(Relation::Stranger)
    }

    /// Decides by the path of a process. If the `id` of its cgroup is known, that cgroup is
    /// younger than this one, and no present descendant that was there before the search.
    pub(crate) fn by_path(&self, path: &[u8], id: Option<u64>) -> Relation {
        let (own, is_deleted) = match path.strip_suffix(REMOVED) {
            Some(own) => (own, true),
            None => (path, false),
        };
        let is_below = is_below(path, self.path);
        let may_be_self = id.is_none();
        match (self.is_removed, is_deleted) {
            (false, false) if is_below || may_be_self && path == self.path => Relation::Member,
            (_, true) if is_below => Relation::Member,
            // Either this cgroup or a removed one with the rest of the name.
            (false, true) if may_be_self && path == self.path => Relation::Unknown,
            // Either this removed cgroup or a present one with the whole name.
            (true, true) if may_be_self && own == self.path && self.has_double => Relation::Unknown,
            (true, true) if may_be_self && own == self.path => Relation::Member,
            _ => Relation::Stranger,
        }
    }
}

fn is_below(path: &[u8], ancestor: &[u8]) -> bool {
    let ancestor = ancestor.strip_suffix(b"/").unwrap_or(ancestor);
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::{Relation::*, *};

    fn family(is_removed: bool) -> Family<'static> {
        Family {
            id: 10,
            path: b"/a",
            is_removed,
            present: HashSet::from([10, 12].map(|it| if is_removed { 10 } else { it })),
            ..Family::default()
        }
    }

    fn by_path(family: &Family<'_>, path: &str) -> Relation {
        family.by_path(path.as_bytes(), None)
    }

    #[test]
    fn a_new_cgroup_is_not_the_removed_one_of_the_same_name() {
        let [present, removed] = [false, true].map(family);
        for (path, in_present, in_removed) in [
            ("/a", Member, Stranger),
            ("/a (deleted)", Stranger, Member),
            ("/a/b", Member, Stranger),
            ("/a/b (deleted)", Member, Member),
            ("/ab (deleted)", Stranger, Stranger),
            ("/a (deleted)/b", Stranger, Stranger),
        ] {
            assert_eq!(by_path(&present, path), in_present, "{path}");
            assert_eq!(by_path(&removed, path), in_removed, "{path}");
        }
    }

    #[test]
    fn a_name_that_ends_like_that_of_a_removed_cgroup_is_unknown() {
        let mut family = family(false);
        family.path = b"/a (deleted)";
        assert_eq!(by_path(&family, "/a (deleted)"), Unknown);
        assert_eq!(by_path(&family, "/a (deleted)/b"), Member);
        family.is_removed = true;
        assert_eq!(by_path(&family, "/a (deleted) (deleted)"), Member);
        family.path = b"/a";
        family.has_double = true;
        assert_eq!(by_path(&family, "/a (deleted)"), Unknown);
    }

    #[test]
    fn an_id_decides_where_the_path_does_not() {
        let [present, mut removed] = [false, true].map(family);
        for family in [&present, &removed] {
            assert_eq!(family.by_id(10), Some(Member));
            assert_eq!(family.by_id(9), Some(Stranger), "an older one of the name");
            assert_eq!(family.by_id(11), None);
        }
        assert_eq!(present.by_id(12), Some(Member));
        // Another cgroup has the path of this one, or had it.
        assert_eq!(removed.by_path(b"/a (deleted)", Some(11)), Stranger);
        assert_eq!(removed.by_path(b"/a/b (deleted)", Some(11)), Member);
        removed.successor = Some(20);
        assert_eq!(removed.by_id(21), Some(Stranger), "below the later one");
    }
}
