//! Remembers the members of a target, so that a wait recognizes them and their children after
//! they have left its cgroups.

use crate::{
    clock::boottime_ns,
    model::Process,
    proc::{
        ancestry::{self, Ancestor},
        survivors::{self, Migrant},
    },
};

/// Limit: guards against a corrupt or cyclic chain of parents.
const MAX_ANCESTORS: usize = 64;

/// The members that were seen.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Pid, and a time in `CLOCK_BOOTTIME` nanoseconds at which the member existed. A process
    /// with the pid that started later is another process.
    seen: Vec<(u32, u64)>,
    /// When the list was read. A process that existed then and is not listed is no member.
    listed_ns: u64,
}

impl Members {
    /// The members in a list that has just been read.
    pub(super) fn listed(mut pids: Vec<u32>) -> Self {
        pids.sort_unstable();
        pids.dedup();
        let listed_ns = boottime_ns();
        Self {
            seen: pids.into_iter().map(|pid| (pid, listed_ns)).collect(),
            listed_ns,
        }
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.seen.iter().map(|&(pid, _)| pid).collect()
    }

    pub(super) fn insert(&mut self, pid: u32, start_boottime_ns: Option<u64>) {
        if !self.has(pid, start_boottime_ns) {
            let seen_by_ns = start_boottime_ns.unwrap_or_else(boottime_ns);
            self.seen.push((pid, seen_by_ns));
        }
    }

    /// Whether the process is a member. Without a start any process with the pid matches.
    pub(super) fn has(&self, pid: u32, start_boottime_ns: Option<u64>) -> bool {
        let start_ns = start_boottime_ns.unwrap_or(0);
        self.seen
            .iter()
            .any(|&(it, seen_by_ns)| it == pid && start_ns <= seen_by_ns)
    }

    /// Whether a member or a descendant of one forked the process after the list was read, so
    /// that the list does not have it.
    pub(super) fn are_ancestors_of(&self, process: &Process) -> bool {
        self.are_ancestors_by(process, ancestry::of)
    }

    fn are_ancestors_by(&self, process: &Process, look: impl Fn(u32) -> Option<Ancestor>) -> bool {
        let is_new = |start_ns| self.listed_ns < start_ns;
        let (Some(mut parent), Some(start_ns)) = (process.ppid, process.start_boottime_ns) else {
            return false;
        };
        if !is_new(start_ns) {
            return false;
        }
        for _ in 0..MAX_ANCESTORS {
            let Some(ancestor) = look(parent) else {
                // The parent is gone. Its pid most likely belonged to the member, and not to a
                // process that lived in between.
                return self.has(parent, None);
            };
            if self.has(parent, Some(ancestor.start_ns.0)) {
                return true;
            }
            if !is_new(ancestor.start_ns.1) {
                return false;
            }
            parent = ancestor.ppid;
        }
        false
    }

    /// Members that run in another cgroup now.
    pub(super) fn migrants(&self) -> Vec<Migrant> {
        survivors::migrants(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: u64 = 1000;

    fn members() -> Members {
        Members {
            seen: vec![(7, LISTED)],
            listed_ns: LISTED,
        }
    }

    fn child_of(ppid: u32, start_ns: u64) -> Process {
        Process {
            tid: 99,
            tgid: 99,
            ppid: Some(ppid),
            start_boottime_ns: Some(start_ns),
            ..Process::default()
        }
    }

    /// Looks up a process in a table of pid, parent and start.
    fn processes(table: &[(u32, u32, u64)]) -> impl Fn(u32) -> Option<Ancestor> {
        move |pid| {
            let &(_, ppid, start) = table.iter().find(|it| it.0 == pid)?;
            Some(Ancestor {
                ppid,
                start_ns: (start, start + 10),
            })
        }
    }

    #[test]
    fn an_unlisted_grandchild_is_found_by_its_chain_of_parents() {
        let members = members();
        let look = processes(&[(7, 1, 500), (8, 7, 1100), (9, 8, 1200)]);
        assert!(members.are_ancestors_by(&child_of(7, 1300), &look));
        assert!(members.are_ancestors_by(&child_of(9, 1300), &look));
        assert!(members.are_ancestors_by(&child_of(7, 1300), processes(&[])));
    }

    #[test]
    fn a_child_of_a_later_process_with_a_members_pid_is_no_member() {
        let look = processes(&[(1, 0, 0), (7, 1, 1100)]);
        assert!(!members().are_ancestors_by(&child_of(7, 1300), look));
    }

    #[test]
    fn a_process_that_was_not_listed_and_its_children_are_no_members() {
        let members = members();
        let look = processes(&[(7, 1, 500), (8, 7, 600)]);
        assert!(!members.are_ancestors_by(&child_of(7, 700), &look));
        assert!(!members.are_ancestors_by(&child_of(8, 1300), &look));
    }

    #[test]
    fn the_search_of_a_cyclic_chain_of_parents_ends() {
        let look = processes(&[(8, 9, 1100), (9, 8, 1100)]);
        assert!(!members().are_ancestors_by(&child_of(8, 1300), look));
    }
}
