//! [`Wait`], an armed wait: it looks at the state of its target whenever it is woken.

use std::{io, os::fd::AsFd, sync::Arc};

use super::{
    condition::{Answer, Facts},
    exiting::{self, ExitingProcesses},
    hub::Hub,
    members::Members,
    occupancy::Occupancy,
    processes::Processes,
    target::Target,
    waker::{Waker, WokenBy},
    watch::Watch,
};
use crate::{
    cgroup::control::{CgroupControl, is_frozen},
    model::{Backend, CgroupState, Process, Until},
    proc::{init_tree::InitTree, survivors::Migrant},
};

/// An armed wait. Dropping it disarms it.
#[derive(Debug)]
pub struct Wait {
    until: Until,
    best_backend: Backend,
    cgroups: Vec<(Arc<Watch<Occupancy>>, String)>,
    processes: Processes,
    members: Members,
    exiting: ExitingProcesses,
    tree: Option<InitTree>,
    may_have_others: bool,
    waker: Arc<Waker>,
}

/// How a condition became true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Whether the verdict is certain on this kernel and hierarchy.
    pub exact: bool,
    /// Whether the condition held at the first look.
    pub already: bool,
    /// The source that woke the look that found it; `None` for the first look.
    pub woken_by: Option<WokenBy>,
}

impl Hub {
    /// Arms a wait: no change of the target from now on is missed.
    pub fn arm(&self, target: Target, until: Until) -> io::Result<Wait> {
        self.arm_with(target, until, Arc::default())
    }

    pub(super) fn arm_with(
        &self,
        target: Target,
        until: Until,
        waker: Arc<Waker>,
    ) -> io::Result<Wait> {
        let watch = |(pinned, path)| (self.watch(pinned), path);
        let best_backend = self.best_backend();
        let mut wait = Wait {
            until,
            best_backend,
            cgroups: target.cgroups.into_iter().map(watch).collect(),
            processes: Processes::new(until, best_backend, Arc::clone(&waker)),
            members: Members::default(),
            exiting: ExitingProcesses::default(),
            tree: target.tree,
            may_have_others: target.may_have_others,
            waker,
        };
        for (watch, _) in &wait.cgroups {
            watch.attach(&wait.waker);
        }
        for process in target.processes {
            wait.processes.add(process.for_backend(best_backend)?);
        }
        // The list is read after the subscription, so that a member that enters later causes
        // a wake-up.
        wait.members = Members::listed(wait.listed()?);
        if wait.needs_members() {
            wait.add_members()?;
        }
        Ok(wait)
    }
}

impl Wait {
    /// Whether the condition holds at this moment.
    pub fn look(&mut self) -> io::Result<Answer> {
        Ok(match self.look_at_known()? {
            Answer::Yes { exact } if !self.add_tree()? => Answer::Yes {
                exact: exact && !self.may_have_others,
            },
            _ => Answer::No,
        })
    }

    /// Watches the living processes of the tree; returns whether there are any.
    fn add_tree(&mut self) -> io::Result<bool> {
        let members = self
            .tree
            .map_or_else(|| Ok(Vec::new()), |it| it.members())?;
        for (pid, _) in &members {
            self.processes.add_by_pid(*pid, None);
        }
        Ok(!members.is_empty())
    }

    fn look_at_known(&mut self) -> io::Result<Answer> {
        let facts = self.facts()?;
        let answer = facts.satisfy(self.until);
        if answer != (Answer::Yes { exact: false }) {
            return Ok(answer);
        }
        let searched = self.search(&facts)?;
        let mut facts = self.facts()?;
        facts.searched = searched;
        Ok(facts.satisfy(self.until))
    }

    pub(super) fn give_up_unrelated(&mut self) {
        self.exiting.give_up_unrelated();
    }

    pub(super) fn reregister(&self) {
        for (watch, _) in &self.cgroups {
            watch.reregister();
        }
        self.processes.reregister();
    }

    /// Resolves once the condition holds. Cancel safe.
    pub async fn met(&mut self) -> io::Result<Met> {
        let mut woken_by = None;
        loop {
            if let Answer::Yes { exact } = self.look()? {
                let already = woken_by.is_none();
                return Ok(Met {
                    exact,
                    already,
                    woken_by,
                });
            }
            woken_by = Some(self.waker.woken().await);
        }
    }

    /// Thread groups that are left: members of the cgroups, and processes of the target.
    pub fn survivors(&self) -> io::Result<Vec<u32>> {
        let mut pids = self.listed()?;
        pids.extend(self.processes.remaining()?);
        pids.extend(self.exiting.members());
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The cgroups that are frozen now.
    pub fn frozen_cgroups(&self) -> io::Result<Vec<CgroupControl>> {
        let mut frozen = Vec::new();
        for (watch, _) in &self.cgroups {
            let pinned = &watch.pinned.cgroup;
            if is_frozen(pinned.as_fd(), pinned.id.hierarchy)? {
                frozen.push(CgroupControl::of(pinned)?);
            }
        }
        Ok(frozen)
    }

    /// The condition.
    #[must_use]
    pub const fn until(&self) -> Until {
        self.until
    }

    /// Members at the last look that run in another cgroup now. For use when the cgroups
    /// are empty.
    #[must_use]
    pub fn migrants(&self) -> Vec<Migrant> {
        self.members.migrants()
    }

    /// Whether this process was a member at the last look. Without a start, in
    /// `CLOCK_BOOTTIME` nanoseconds, any process with the pid matches.
    #[must_use]
    pub fn was_member(&self, pid: u32, start_boottime_ns: Option<u64>) -> bool {
        self.members.has(pid, start_boottime_ns)
    }

    /// Whether this process was forked after the last look, by a member or by a living
    /// descendant of a member.
    #[must_use]
    pub fn was_born_to_member(&self, process: &Process) -> bool {
        self.members.are_ancestors_of(process)
    }

    /// Adds a process that belongs to the target but is not in its cgroups. A condition
    /// about processes then also waits for it.
    pub fn follow(&mut self, pid: u32, start_boottime_ns: Option<u64>) {
        self.members.insert(pid, start_boottime_ns);
        if self.until != Until::Empty && self.until != Until::Removed {
            self.processes.add_by_pid(pid, start_boottime_ns);
        }
    }

    /// The backend that the wait uses without BPF.
    #[must_use]
    pub fn unprivileged(&self) -> Backend {
        let has_events = self
            .cgroups
            .iter()
            .any(|(it, _)| it.pinned.cgroup.events().is_some());
        if self.best_backend != Backend::Poll && (has_events || self.processes.have_pidfd()) {
            Backend::Pidfd
        } else {
            Backend::Poll
        }
    }

    /// Whether the members have to be watched one by one. That is also so on v1, which has no
    /// `cgroup.events`, because there only pidfds can wake the wait.
    fn needs_members(&self) -> bool {
        let has_no_events = || {
            self.cgroups
                .iter()
                .any(|(it, _)| it.pinned.cgroup.events().is_none())
        };
        self.until.is_about_processes()
            || self.until == Until::Stopped
            || self.best_backend == Backend::Pidfd && has_no_events()
    }

    fn facts(&mut self) -> io::Result<Facts> {
        let observations = self.cgroups.iter().map(|(watch, _)| watch.pinned.observe());
        let observations = observations.collect::<io::Result<Vec<_>>>()?;
        let is_populated = observations
            .iter()
            .any(|it| it.state == CgroupState::Populated);
        if is_populated {
            self.exiting.forget();
        }
        // On v2 a search finds every exiting process, on v1 it may find too few.
        let is_searched = self.exiting.is_searched();
        let mut observations_of = observations.iter().zip(&self.cgroups);
        let may_have_unseen = observations_of.any(|(observation, (watch, _))| {
            let is_complete = is_searched && watch.pinned.is_v2();
            !observation.is_certain && !is_complete
        });
        Ok(Facts {
            cgroups: observations.iter().map(|it| it.state).collect(),
            processes: self.processes.states()?,
            searched: false,
            frozen: self.until == Until::Stopped
                && !is_populated
                && !self.frozen_cgroups()?.is_empty(),
            has_exiting: self.exiting.remain()?,
            may_have_unseen,
        })
    }

    /// The processes in the lists of the cgroups.
    fn listed(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for (watch, _) in &self.cgroups {
            pids.extend(watch.pinned.cgroup.members()?);
        }
        Ok(pids)
    }

    /// Watches the members one by one. Until a pid is opened, the kernel may give it to
    /// another process, which is then missing from the list that is read afterwards.
    fn add_members(&mut self) -> io::Result<()> {
        let known = self.processes.count();
        for pid in self.members.pids() {
            self.processes.add_by_pid(pid, None);
        }
        let listed = self.listed()?;
        self.processes.keep_listed(known, listed);
        Ok(())
    }

    /// Opens members that no look has seen, and processes that are exiting and in no list.
    /// Returns whether the search finds all unseen members.
    fn search(&mut self, facts: &Facts) -> io::Result<bool> {
        if facts.may_have_unseen && !self.exiting.is_searched() {
            let observed = (self.cgroups.as_slice(), facts.cgroups.as_slice());
            self.exiting
                .search(observed, &self.members, self.best_backend, &self.waker)?;
        }
        if !self.until.is_about_processes() {
            return Ok(false);
        }
        for (pid, start_ns) in exiting::detached_members((&self.cgroups, &facts.cgroups))? {
            self.processes.add_by_pid(pid, Some(start_ns));
        }
        Ok(self.cgroups.iter().all(|(watch, _)| watch.pinned.is_v2()))
    }
}
