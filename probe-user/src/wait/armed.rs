//! A wait that is armed: facts, a waker, and the loop between them.

use std::{io, sync::Arc};

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
    model::{Backend, CgroupState, Process, Until},
    proc::survivors::Migrant,
};

/// An armed wait. Dropping it disarms it.
#[derive(Debug)]
pub struct Wait {
    until: Until,
    tier: Backend,
    cgroups: Vec<(Arc<Watch<Occupancy>>, String)>,
    processes: Processes,
    members: Members,
    exiting: ExitingProcesses,
    waker: Arc<Waker>,
}

/// How a condition became true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Whether it is certain on this kernel and hierarchy.
    pub exact: bool,
    /// Whether it was so at the first look.
    pub already: bool,
    /// What led to the look that found it; `None`: nothing had to wake us.
    pub woken_by: Option<WokenBy>,
}

impl Hub {
    /// Arms a wait: what happens from now on is not missed.
    pub fn arm(&self, target: Target, until: Until) -> io::Result<Wait> {
        self.arm_with(target, until, Waker::new())
    }

    pub(super) fn arm_with(
        &self,
        target: Target,
        until: Until,
        waker: Arc<Waker>,
    ) -> io::Result<Wait> {
        let watch = |(pinned, path)| (self.watch(pinned), path);
        let tier = self.tier();
        let mut wait = Wait {
            until,
            tier,
            cgroups: target.cgroups.into_iter().map(watch).collect(),
            processes: Processes::new(until, tier, Arc::clone(&waker)),
            members: Members::default(),
            exiting: ExitingProcesses::default(),
            waker,
        };
        for (watch, _) in &wait.cgroups {
            watch.attach(&wait.waker);
        }
        for process in target.processes {
            wait.processes.add(process.for_backend(tier)?);
        }
        // Subscribed first: a member that comes later is seen as populated.
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
        let facts = self.facts()?;
        let answer = facts.satisfy(self.until);
        if answer != (Answer::Yes { exact: false }) {
            return Ok(answer);
        }
        let searched = self.search(&facts)?;
        let facts = Facts {
            searched,
            ..self.facts()?
        };
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

    /// Resolves once it holds. May be dropped and called again.
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

    /// Thread groups that are still there: in the cgroups, or by themselves.
    pub fn survivors(&self) -> io::Result<Vec<u32>> {
        let mut pids = self.listed()?;
        pids.extend(self.processes.remaining()?);
        pids.extend(self.exiting.members());
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// What is waited for.
    #[must_use]
    pub const fn until(&self) -> Until {
        self.until
    }

    /// Who was a member when somebody last looked and runs elsewhere now. To be
    /// asked when the cgroups are empty.
    #[must_use]
    pub fn migrants(&self) -> Vec<Migrant> {
        self.members.migrants()
    }

    /// Whether this process was a member when somebody last looked. Without its
    /// start, in `CLOCK_BOOTTIME` nanoseconds, whoever has the pid may be meant.
    #[must_use]
    pub fn was_member(&self, pid: u32, start_boottime_ns: Option<u64>) -> bool {
        self.members.has(pid, start_boottime_ns)
    }

    /// Whether this process was born to a member since somebody last looked, or
    /// to a descendant of one that still lives.
    #[must_use]
    pub fn was_born_to_member(&self, process: &Process) -> bool {
        self.members.have_born(process)
    }

    /// A process that belongs to the target though it is not in its cgroups:
    /// it counts as well, if the condition is about processes.
    pub fn follow(&mut self, pid: u32, start_boottime_ns: Option<u64>) {
        self.members.insert(pid, start_boottime_ns);
        if self.until != Until::Empty && self.until != Until::Removed {
            self.processes.add_by_pid(pid, start_boottime_ns);
        }
    }

    /// The best backend that serves while there is no BPF.
    #[must_use]
    pub fn unprivileged(&self) -> Backend {
        let has_events = self
            .cgroups
            .iter()
            .any(|(it, _)| it.pinned.cgroup.events().is_some());
        if self.tier != Backend::Poll && (has_events || self.processes.have_pidfd()) {
            Backend::Pidfd
        } else {
            Backend::Poll
        }
    }

    /// Also where nothing but pidfds could wake us: v1 has no `cgroup.events`.
    fn needs_members(&self) -> bool {
        let has_no_events = || {
            self.cgroups
                .iter()
                .any(|(it, _)| it.pinned.cgroup.events().is_none())
        };
        self.until.is_about_processes()
            || self.until == Until::Stopped
            || self.tier == Backend::Pidfd && has_no_events()
    }

    fn facts(&mut self) -> io::Result<Facts> {
        let observations = self.cgroups.iter().map(|(watch, _)| watch.pinned.observe());
        let observations = observations.collect::<io::Result<Vec<_>>>()?;
        if observations
            .iter()
            .any(|it| it.state == CgroupState::Populated)
        {
            self.exiting.forget();
        }
        // A search finds on v2 whoever there is, on v1 as far as we know.
        let is_searched = self.exiting.is_searched();
        let mut observations_of = observations.iter().zip(&self.cgroups);
        let is_doubtful = observations_of.any(|(observation, (watch, _))| {
            let is_found = is_searched && watch.pinned.is_v2();
            !observation.is_certain && !is_found
        });
        Ok(Facts {
            cgroups: observations.iter().map(|it| it.state).collect(),
            processes: self.processes.states()?,
            searched: false,
            has_exiting: self.exiting.remain()?,
            is_doubtful,
        })
    }

    /// Whom the lists of the cgroups show.
    fn listed(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for (watch, _) in &self.cgroups {
            pids.extend(watch.pinned.cgroup.members()?);
        }
        Ok(pids)
    }

    /// A pid may be another's by the time it is pinned: then that one is in no
    /// list that is read afterwards.
    fn add_members(&mut self) -> io::Result<()> {
        let known = self.processes.count();
        for pid in self.members.pids() {
            self.processes.add_by_pid(pid, None);
        }
        let listed = self.listed()?;
        self.processes.keep_listed(known, listed);
        Ok(())
    }

    /// Pins members that nobody saw while they lived, or who are dying where no
    /// list shows them; whether all of the former could be found.
    fn search(&mut self, facts: &Facts) -> io::Result<bool> {
        if facts.is_doubtful && !self.exiting.is_searched() {
            let seen = (self.cgroups.as_slice(), facts.cgroups.as_slice());
            self.exiting
                .search(seen, &self.members, self.tier, &self.waker)?;
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
