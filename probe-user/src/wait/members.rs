//! Who belongs to a target, as far as anybody saw it: by itself, or by whose
//! child it is.

use crate::{
    clock::boottime_ns,
    model::Process,
    proc::{
        ancestry::{self, Ancestor},
        survivors::{self, Migrant},
    },
};

/// Ancestors that are looked at: more are no family but a trap.
const MOST_ANCESTORS: usize = 64;

/// Each with a moment in `CLOCK_BOOTTIME` nanoseconds by which it was seen: who
/// has the pid and started later is another.
#[derive(Debug, Default)]
pub(super) struct Members {
    seen: Vec<(u32, u64)>,
    /// When the list was read: who was there by then and is not in it is none.
    listed_ns: u64,
}

impl Members {
    /// Of a list that has just been read.
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

    /// Without its start whoever has the pid may be meant.
    pub(super) fn has(&self, pid: u32, start_boottime_ns: Option<u64>) -> bool {
        let start_ns = start_boottime_ns.unwrap_or(0);
        self.seen
            .iter()
            .any(|&(it, seen_by_ns)| it == pid && start_ns <= seen_by_ns)
    }

    /// Whether it was born to a member, or to a descendant of one, after the
    /// list was read: then nobody need have seen it.
    pub(super) fn have_born(&self, process: &Process) -> bool {
        self.have_born_by(process, ancestry::of)
    }

    fn have_born_by(&self, process: &Process, look: impl Fn(u32) -> Option<Ancestor>) -> bool {
        let is_new = |start_ns| self.listed_ns < start_ns;
        let (Some(mut parent), Some(start_ns)) = (process.ppid, process.start_boottime_ns) else {
            return false;
        };
        if !is_new(start_ns) {
            return false;
        }
        for _ in 0..MOST_ANCESTORS {
            let Some(ancestor) = look(parent) else {
                // Gone since: that its pid was another's in between is less
                // likely than that it was the member.
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

    /// Who runs elsewhere now.
    pub(super) fn migrants(&self) -> Vec<Migrant> {
        survivors::migrants(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Comm;

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
            uid: None,
            comm: Comm::new([0; 16]),
            start_boottime_ns: Some(start_ns),
            cgroup: None,
            wanted_cgroup_id: None,
            ns_pid: None,
            pid_ns: None,
            owners: None,
        }
    }

    /// Pid, parent, start.
    fn family(those: &[(u32, u32, u64)]) -> impl Fn(u32) -> Option<Ancestor> {
        move |pid| {
            let &(_, ppid, start) = those.iter().find(|it| it.0 == pid)?;
            Some(Ancestor {
                ppid,
                start_ns: (start, start + 10),
            })
        }
    }

    #[test]
    fn a_grandchild_that_nobody_saw_is_found_by_its_parents() {
        let members = members();
        let look = family(&[(7, 1, 500), (8, 7, 1100), (9, 8, 1200)]);
        assert!(members.have_born_by(&child_of(7, 1300), &look));
        assert!(members.have_born_by(&child_of(9, 1300), &look));
        assert!(members.have_born_by(&child_of(7, 1300), family(&[])));
    }

    #[test]
    fn a_child_of_who_has_a_members_pid_by_now_is_none() {
        let look = family(&[(1, 0, 0), (7, 1, 1100)]);
        assert!(!members().have_born_by(&child_of(7, 1300), look));
    }

    #[test]
    fn who_had_left_before_the_list_was_read_is_none_nor_are_its_children() {
        let members = members();
        let look = family(&[(7, 1, 500), (8, 7, 600)]);
        assert!(!members.have_born_by(&child_of(7, 700), &look));
        assert!(!members.have_born_by(&child_of(8, 1300), &look));
    }

    #[test]
    fn a_circle_ends() {
        let look = family(&[(8, 9, 1100), (9, 8, 1100)]);
        assert!(!members().have_born_by(&child_of(8, 1300), look));
    }
}
