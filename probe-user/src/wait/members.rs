//! Remembers the members of a target, so that a wait recognizes those that run elsewhere when
//! its cgroups are empty.

use std::collections::HashMap;

use crate::{
    clock::boottime_ns,
    model::{ProcessId, ProcessState},
    proc::{
        directory::{ProcessDirectory, is_gone},
        migrants::{self, Migrant},
        stat::Stat,
    },
};

/// The number of members from which on those that have exited are forgotten.
const MANY: usize = 1024;

/// The members that were seen.
#[derive(Debug)]
pub(super) struct Members {
    /// For each pid a time in `CLOCK_BOOTTIME` nanoseconds at which the member existed. A
    /// process with the pid that started later is another process.
    seen: HashMap<u32, u64>,
    /// The number of members at which those that have exited are forgotten next.
    limit: usize,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            seen: HashMap::new(),
            limit: MANY,
        }
    }
}

impl Members {
    /// Adds the members in a list that has just been read.
    pub(super) fn add_listed(&mut self, pids: &[u32]) {
        let now = boottime_ns();
        self.seen.extend(pids.iter().map(|&pid| (pid, now)));
    }

    /// Adds a process. An earlier process with the same pid is gone.
    pub(super) fn insert(&mut self, process: ProcessId) {
        let seen = self.seen.entry(process.tgid).or_default();
        *seen = process.start_boottime_ns.max(*seen);
        if self.seen.len() >= self.limit {
            self.seen.retain(|&pid, &mut by| lives(pid, by));
            self.limit = MANY.max(2 * self.seen.len());
        }
    }

    /// Whether the process is a member.
    pub(super) fn has(&self, pid: u32, start_boottime_ns: u64) -> bool {
        let seen = self.seen.get(&pid);
        seen.is_some_and(|&seen_by_ns| start_boottime_ns <= seen_by_ns)
    }

    /// Members that run in another cgroup now, if the cgroups of the target are empty; `is_target`
    /// as in [`migrants::migrants`].
    pub(super) fn migrants(&self, is_target: impl Fn(&str) -> bool) -> Vec<Migrant> {
        let mut seen: Vec<_> = self.seen.iter().map(|(&pid, &by)| (pid, by)).collect();
        seen.sort_unstable();
        migrants::migrants(&seen, is_target)
    }
}

/// Whether the member has not exited, as far as `/proc` tells.
fn lives(pid: u32, seen_by_ns: u64) -> bool {
    let stat = match ProcessDirectory::open(pid).and_then(|it| it.content("stat")) {
        Ok(stat) => stat,
        Err(error) => return !is_gone(&error),
    };
    let has_exited = |it: &Stat<'_>| it.process_state().is_some_and(ProcessState::has_exited);
    Stat::parse(&stat).is_none_or(|it| it.start_ns() <= seen_by_ns && !has_exited(&it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_with_a_members_pid_is_no_member() {
        let mut members = Members::default();
        members.add_listed(&[7]);
        let later = boottime_ns() + 1_000_000_000;
        assert!(members.has(7, 0) && !members.has(8, 0));
        assert!(!members.has(7, later));
        members.insert(ProcessId {
            tgid: 7,
            start_boottime_ns: later,
        });
        assert!(members.has(7, later));
    }

    #[test]
    fn members_that_have_exited_are_forgotten() {
        let own = std::process::id();
        let mut members = Members::default();
        members.add_listed(&[own]);
        for tgid in 0..4 * u32::try_from(MANY).expect("a small number") {
            members.insert(ProcessId {
                tgid: u32::MAX - tgid,
                start_boottime_ns: 1,
            });
        }
        assert!(members.seen.len() <= MANY, "{}", members.seen.len());
        assert!(members.has(own, 0));
    }
}
