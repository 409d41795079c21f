//! A wait that is armed: facts, a bell, and the loop between them.

use std::{io, sync::Arc};

use super::{
    bell::{Bell, WokenBy},
    hub::Hub,
    target::Target,
    watch::Watch,
};
use crate::{
    source::{
        cgroup_events::PinnedCgroup,
        left_behind,
        pinned_process::{PinProcessError, PinnedProcess},
    },
    waiter::{Answer, Backend, Facts, Level, Life, Until},
};

/// An armed wait. Dropping it disarms it.
#[derive(Debug)]
pub struct Wait {
    until: Until,
    tier: Backend,
    cgroups: Vec<(Arc<Watch<PinnedCgroup>>, String)>,
    processes: Vec<Watch<PinnedProcess>>,
    bell: Arc<Bell>,
}

/// How a condition became true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Whether it is certain on this kernel and hierarchy.
    pub exact: bool,
    /// What led to the look that found it; `None`: it was so at the first.
    pub woken_by: Option<WokenBy>,
}

impl Hub {
    /// Arms a wait: what happens from now on is not missed.
    pub fn arm(&self, target: Target, until: Until) -> io::Result<Wait> {
        self.arm_with(target, until, Bell::new())
    }

    pub(super) fn arm_with(
        &self,
        target: Target,
        until: Until,
        bell: Arc<Bell>,
    ) -> io::Result<Wait> {
        let watch = |(pinned, path)| (self.watch(pinned), path);
        let mut wait = Wait {
            until,
            tier: self.tier(),
            cgroups: target.cgroups.into_iter().map(watch).collect(),
            processes: Vec::new(),
            bell,
        };
        for (watch, _) in &wait.cgroups {
            watch.tie(&wait.bell);
        }
        for process in target.processes {
            wait.add(process);
        }
        // Subscribed first: a member that comes later is seen as populated.
        if until.is_about_processes() {
            wait.add_members()?;
        }
        Ok(wait)
    }
}

impl Wait {
    /// Whether the condition holds at this moment.
    pub fn look(&mut self) -> io::Result<Answer> {
        let mut facts = self.facts()?;
        let answer = facts.satisfy(self.until);
        if answer != (Answer::Yes { exact: false }) || !self.search(&facts.cgroups)? {
            return Ok(answer);
        }
        facts = self.facts()?;
        facts.searched = true;
        Ok(facts.satisfy(self.until))
    }

    /// Resolves once it holds. May be dropped and called again.
    pub async fn met(&mut self) -> io::Result<Met> {
        let mut woken_by = None;
        loop {
            if let Answer::Yes { exact } = self.look()? {
                return Ok(Met { exact, woken_by });
            }
            woken_by = Some(self.bell.rung().await);
        }
    }

    /// Thread groups that are still there: in the cgroups, or by themselves.
    pub fn survivors(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for (watch, _) in &self.cgroups {
            pids.extend(watch.pinned.members()?);
        }
        let wanted = match self.until {
            Until::Reaped => Life::Reaped,
            _ => Life::Exited,
        };
        for process in &self.processes {
            if process.pinned.life()? < wanted {
                pids.push(process.pinned.tgid);
            }
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    fn facts(&self) -> io::Result<Facts> {
        let cgroups = self.cgroups.iter().map(|(watch, _)| watch.pinned.level());
        let processes = self.processes.iter().map(|watch| watch.pinned.life());
        Ok(Facts {
            cgroups: cgroups.collect::<io::Result<_>>()?,
            processes: processes.collect::<io::Result<_>>()?,
            searched: false,
        })
    }

    fn add(&mut self, process: PinnedProcess) {
        let watch = Watch::process(process);
        watch.tie(&self.bell);
        self.processes.push(watch);
    }

    fn add_members(&mut self) -> io::Result<()> {
        for index in 0..self.cgroups.len() {
            let members = self.cgroups[index].0.pinned.members()?;
            self.add_all(&members);
        }
        Ok(())
    }

    fn add_all(&mut self, pids: &[u32]) {
        for &pid in pids {
            if self
                .processes
                .iter()
                .any(|it| it.pinned.tgid == pid && it.is_there())
            {
                continue;
            }
            match PinnedProcess::open(pid, self.tier) {
                Ok(process) => self.add(process),
                Err(PinProcessError::NotFound { .. } | PinProcessError::Thread { .. }) => {}
                Err(error) => tracing::debug!(%error, "a member that cannot be pinned"),
            }
        }
    }

    /// Pins members that nobody saw while they lived; whether that could be done.
    fn search(&mut self, levels: &[Level]) -> io::Result<bool> {
        let all_v2 = self
            .cgroups
            .iter()
            .all(|(watch, _)| watch.pinned.id.hierarchy == 0);
        for index in 0..self.cgroups.len() {
            let (watch, path) = &self.cgroups[index];
            if watch.pinned.id.hierarchy == 0 {
                let found = left_behind::find(path, levels[index] == Level::Removed)?;
                self.add_all(&found);
            }
        }
        Ok(all_v2)
    }
}

impl Watch<PinnedProcess> {
    fn is_there(&self) -> bool {
        self.pinned.life().is_ok_and(|life| life != Life::Reaped)
    }
}
