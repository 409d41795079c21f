//! Keeps the members of a wait complete: those that the lists show, and, with BPF, every process
//! that enters a cgroup later.

use std::{io, sync::Arc};

use super::{armed::Wait, entries::Entered};
use crate::model::ProcessId;

/// How far a wait knows the processes that entered its cgroups.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// One queue for each cgroup of the wait.
    pub(super) entered: Vec<Arc<Entered>>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The BPF programs do not report entries yet.
    #[default]
    NotYet,
    /// They do, and had missed this many entries when they began.
    Since(u64),
    /// The programs are gone. Processes may have entered since.
    Ended,
}

impl Following {
    /// Updates the state. Returns whether the programs report entries from now on, so that the
    /// lists have to be read. `missed` returns the number of entries that they may have missed
    /// so far.
    fn update(&mut self, is_followed: bool, missed: impl FnOnce() -> Option<u64>) -> bool {
        match (self.state, is_followed) {
            (State::NotYet, true) => {
                self.state = missed().map_or(State::Ended, State::Since);
                self.state != State::Ended
            }
            (State::Since(_), false) => {
                self.state = State::Ended;
                false
            }
            _ => false,
        }
    }

    /// Whether no entry was missed.
    fn is_complete(&self, missed: impl FnOnce() -> Option<u64>) -> bool {
        matches!(self.state, State::Since(before) if missed() == Some(before))
    }
}

impl Wait {
    /// Adds the processes that entered a cgroup. Returns whether every process that was a
    /// member since an earlier look, or since the wait was armed, is known. The answer is
    /// `false` if the condition does not depend on it.
    ///
    /// The caller reads the state of the cgroups before: a process that entered later may be
    /// unknown.
    pub(super) fn add_entered(&mut self, is_populated: bool) -> io::Result<bool> {
        let mut is_followed = true;
        for watch in &self.cgroups {
            is_followed &= watch.pinned.receive_entries();
        }
        let entered = self.following.entered.iter().flat_map(|it| it.take());
        for process in entered.collect::<Vec<ProcessId>>() {
            self.members.insert(process);
            if self.until.follows_members() {
                let start_ns = Some(process.start_boottime_ns);
                self.processes.add_or_count(process.tgid, start_ns);
            }
        }
        let cgroups = &self.cgroups;
        let missed = || cgroups.iter().map(|it| it.pinned.missed_entries()).sum();
        if self.following.update(is_followed, missed) {
            self.add_listed()?;
            return Ok(false);
        }
        let is_decisive = self.until.follows_members() && !is_populated;
        Ok(is_decisive && self.following.is_complete(missed) && self.processes.are_all_held())
    }

    /// Adds the processes in the lists of the cgroups, and watches them if that is needed.
    pub(super) fn add_listed(&mut self) -> io::Result<()> {
        // The lists of a v2 cgroup are not needed for its emptiness.
        let listed = self.listed(!self.needs_members())?;
        self.members.add_listed(&listed);
        if !self.needs_members() {
            return Ok(());
        }
        let known = self.processes.count();
        for pid in listed {
            match self.processes.add_by_pid(pid, None) {
                Err(error) if self.until.follows_members() => return Err(error),
                // Here the processes only wake the wait, and so does the timer.
                _ => {}
            }
        }
        // Until a pid is opened, the kernel may give it to another process, which is then
        // missing from the list that is read afterwards.
        let listed = self.listed(false)?;
        self.processes.keep_listed(known, listed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_known_as_long_as_no_entry_is_missed() {
        let mut following = Following::default();
        assert!(!following.update(false, || None));
        assert!(!following.is_complete(|| Some(3)));
        assert!(following.update(true, || Some(3)), "the lists are read now");
        assert!(!following.update(true, || Some(3)));
        assert!(following.is_complete(|| Some(3)));
        assert!(!following.is_complete(|| Some(4)) && !following.is_complete(|| None));
        assert!(!following.update(false, || None));
        assert!(!following.update(true, || Some(3)) && !following.is_complete(|| Some(3)));
    }

    #[test]
    fn programs_that_report_no_entries_follow_no_members() {
        let mut following = Following::default();
        assert!(!following.update(true, || None));
        assert!(!following.is_complete(|| None));
    }
}
