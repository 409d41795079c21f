//! [`Wait`], an armed wait: it looks at the state of its target whenever it is woken.

use std::{io, os::fd::AsFd, path::Path, sync::Arc};

use super::{
    condition::{Answer, Facts},
    exiting::{self, ExitingProcesses},
    following::Following,
    members::Members,
    occupancy::Occupancy,
    processes::Processes,
    waker::{Waker, WokenBy},
    watch::Watch,
};
use crate::{
    cgroup::control::{CgroupControl, is_frozen},
    kernel::departure,
    model::{Backend, CgroupState, Until, is_within},
    proc::{
        detached,
        init_tree::{InitTree, TreeMembers},
        migrants::Migrant,
    },
};

/// An armed wait. Dropping it disarms it.
#[derive(Debug)]
pub struct Wait {
    pub(super) until: Until,
    pub(super) best_backend: Backend,
    pub(super) cgroups: Vec<Arc<Watch<Occupancy>>>,
    pub(super) processes: Processes,
    pub(super) members: Members,
    pub(super) following: Following,
    /// Whether a look has found that the condition does not hold.
    pub(super) was_pending: bool,
    /// Whether the cgroups were empty when the wait was armed and at every look since.
    pub(super) was_always_empty: bool,
    pub(super) exiting: ExitingProcesses,
    /// Living processes in v1 cgroups with empty lists, at the last look.
    pub(super) unlisted: Vec<u32>,
    pub(super) tree: Option<InitTree>,
    pub(super) may_have_others: bool,
    pub(super) waker: Arc<Waker>,
}

/// How a condition became true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Whether the kernel's state proves the verdict. For conditions about the processes of a
    /// cgroup that takes BPF, which reports every process that enters the cgroup, from before the
    /// condition held (see [`Waiter::bpf`](crate::Waiter)); for a v1 cgroup it takes BPF or the
    /// pids controller.
    pub exact: bool,
    /// Whether the condition held at the first look at the target.
    pub already: bool,
    /// The source that woke the look that found it; `None` for the first look.
    pub woken_by: Option<WokenBy>,
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
            .map_or_else(|| Ok(TreeMembers::default()), |it| it.members())?;
        self.may_have_others |= self.tree.is_some() && !members.is_complete;
        for (pid, _) in &members.processes {
            self.processes.add_or_count(*pid, None);
        }
        Ok(!members.processes.is_empty())
    }

    fn look_at_known(&mut self) -> io::Result<Answer> {
        self.unlisted.clear();
        let facts = self.facts()?;
        let mut answer = facts.satisfy(self.until);
        // Members that had exited before the wait was armed are in no list.
        let may_have_zombies = self.until == Until::Reaped && !self.cgroups.is_empty();
        if answer == (Answer::Yes { exact: false }) || answer != Answer::No && may_have_zombies {
            let found_all = self.search(&facts)?;
            let mut facts = self.facts()?;
            // No process has left cgroups that were always empty.
            facts.knows_members |= found_all && self.was_always_empty;
            facts.knows_members &= found_all || !may_have_zombies;
            answer = facts.satisfy(self.until);
        }
        self.was_pending |= answer == Answer::No;
        self.was_always_empty &= !self.was_pending;
        Ok(answer)
    }

    pub(super) fn give_up_unrelated(&mut self) {
        self.exiting.give_up_unrelated();
    }

    pub(super) fn reregister(&self) {
        for watch in &self.cgroups {
            watch.reregister();
        }
        self.processes.reregister();
    }

    /// Resolves once the condition holds. Cancel safe.
    pub async fn met(&mut self) -> io::Result<Met> {
        let mut woken_by = None;
        loop {
            if let Answer::Yes { exact } = self.look()? {
                let already = !self.was_pending;
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
        let mut pids = self.listed(true)?;
        pids.extend(self.processes.remaining()?);
        pids.extend(self.exiting.members());
        pids.extend(&self.unlisted);
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The cgroups that are frozen now.
    pub fn frozen_cgroups(&self) -> io::Result<Vec<CgroupControl>> {
        let mut frozen = Vec::new();
        for watch in &self.cgroups {
            let pinned = &watch.pinned.cgroup;
            if is_frozen(pinned.as_fd(), pinned.id.hierarchy)? {
                frozen.push(CgroupControl::of(pinned)?);
            }
        }
        Ok(frozen)
    }

    /// Paths of the cgroups, as they were when they were pinned.
    pub fn cgroup_paths(&self) -> impl Iterator<Item = &Path> {
        self.cgroups.iter().map(|it| it.pinned.cgroup.path())
    }

    /// The condition.
    #[must_use]
    pub const fn until(&self) -> Until {
        self.until
    }

    /// Members that run in another cgroup now. For use when the cgroups are empty.
    #[must_use]
    pub fn migrants(&self) -> Vec<Migrant> {
        self.members.migrants(|path| {
            let mut cgroups = self.cgroups.iter();
            cgroups.any(|it| it.pinned.is_v2() && is_within(path, &it.pinned.cgroup.shown_path()))
        })
    }

    /// The backend that the wait uses without BPF.
    #[must_use]
    pub fn unprivileged(&self) -> Backend {
        let has_events = self
            .cgroups
            .iter()
            .any(|it| it.pinned.cgroup.events().is_some());
        if self.best_backend != Backend::Poll && (has_events || self.processes.have_pidfd()) {
            Backend::Pidfd
        } else {
            Backend::Poll
        }
    }

    /// Whether the members have to be watched one by one. That is also so on v1, which has no
    /// `cgroup.events`, because there only pidfds can wake the wait.
    pub(super) fn needs_members(&self) -> bool {
        let has_no_events = || {
            self.cgroups
                .iter()
                .any(|it| it.pinned.cgroup.events().is_none())
        };
        self.until.follows_members() || self.best_backend == Backend::Pidfd && has_no_events()
    }

    fn facts(&mut self) -> io::Result<Facts> {
        let observations = self.cgroups.iter().map(|watch| watch.pinned.observe());
        let observations = observations.collect::<io::Result<Vec<_>>>()?;
        let is_populated = observations
            .iter()
            .any(|it| it.state == CgroupState::Populated);
        // A process that has left a cgroup before its state was read is known from here on.
        let knows_members = self.add_entered(is_populated)?;
        if is_populated {
            self.exiting.forget();
        }
        // On v2 a search finds every exiting process, on v1 it may find too few.
        let is_searched = self.exiting.is_complete();
        let mut observations_of = observations.iter().zip(&self.cgroups);
        let may_have_unseen = observations_of.any(|(observation, watch)| {
            let is_complete = is_searched && watch.pinned.is_v2();
            !observation.is_certain && !is_complete
        });
        Ok(Facts {
            cgroups: observations.iter().map(|it| it.state).collect(),
            processes: self.processes.states()?,
            knows_members,
            frozen: self.until == Until::Stopped
                && !is_populated
                && !self.frozen_cgroups()?.is_empty(),
            has_unlisted: self.exiting.remain()? || !self.unlisted.is_empty(),
            may_have_unseen,
        })
    }

    /// The processes in the lists of the cgroups. If they are only a hint, lists that cannot be
    /// read are left out.
    pub(super) fn listed(&self, is_hint: bool) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for watch in &self.cgroups {
            let cgroup = &watch.pinned.cgroup;
            let members = cgroup.listed();
            match members.error {
                Some(error) if is_hint => {
                    tracing::warn!(%error, "cannot list all members of {}", cgroup.path().display());
                }
                Some(error) => return Err(error),
                None => {}
            }
            pids.extend(members.pids);
        }
        Ok(pids)
    }

    /// Opens members that no look has seen, processes that are exiting and in no list, and
    /// finds living processes that the lists of v1 may have missed. Returns whether the search
    /// finds all unseen members.
    fn search(&mut self, facts: &Facts) -> io::Result<bool> {
        if facts.may_have_unseen && departure::is_late() && !self.exiting.is_searched() {
            let observed = (self.cgroups.as_slice(), facts.cgroups.as_slice());
            self.exiting
                .search(observed, &self.members, self.best_backend, &self.waker)?;
        }
        if facts.may_have_unseen {
            for watch in self.cgroups.iter().filter(|it| !it.pinned.is_v2()) {
                let search = detached::find_v1(&watch.pinned.cgroup)?;
                self.unlisted
                    .extend(search.found.iter().map(|&(pid, _)| pid));
            }
        }
        if !self.until.follows_members() {
            return Ok(false);
        }
        let detached = exiting::detached_members((&self.cgroups, &facts.cgroups))?;
        for (pid, start_ns) in detached.found {
            self.processes.add_or_count(pid, Some(start_ns));
        }
        let mut found_all = detached.is_complete && self.processes.are_all_held();
        for watch in self.cgroups.iter().filter(|it| !it.pinned.is_v2()) {
            // v1 shows no cgroup of a zombie, but the pids controller counts it.
            found_all &= watch.pinned.cgroup.charges_no_task()?;
        }
        Ok(found_all)
    }
}
