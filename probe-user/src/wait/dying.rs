//! Those who may die in a cgroup that no longer shows them.
//!
//! Searched for once when a cgroup seems empty and nobody knows for certain. On
//! v2 a process names its cgroup to the end, on v1 it does not: there whoever is
//! dying on the machine is waited for, a stranger not for ever.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    members::Members,
    occupancy::Occupancy,
    waker::{Waker, WokenBy},
    watch::Watch,
};
use crate::{
    model::{Backend, CgroupState},
    proc::{detached, exiting, pinned::PinnedProcess},
};

/// How long a death may take of one who need not be a member. It may hang in a
/// device, or be the init of a container that somebody else keeps from ending.
const PATIENCE: Duration = Duration::from_secs(2);

/// Cgroups with their paths below the root, and what each was just now.
pub(super) type ObservedCgroups<'a> = (&'a [(Arc<Watch<Occupancy>>, String)], &'a [CgroupState]);

/// Pid and start of those who name one of the v2 cgroups as their own.
pub(super) fn left_behind((cgroups, states): ObservedCgroups<'_>) -> io::Result<Vec<(u32, u64)>> {
    let mut found = Vec::new();
    for ((watch, path), &state) in cgroups.iter().zip(states) {
        if watch.pinned.is_v2() {
            found.extend(detached::find(path, state == CgroupState::Removed)?);
        }
    }
    Ok(found)
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Dying {
    /// `None`: nobody has searched.
    search: Option<Search>,
}

#[derive(Debug)]
struct Search {
    members: Vec<Watch<PinnedProcess>>,
    strangers: Vec<Watch<PinnedProcess>>,
    end: Instant,
    /// Wakes the wait when the patience is at its end.
    alarm: JoinHandle<()>,
}

impl Drop for Search {
    fn drop(&mut self) {
        self.alarm.abort();
    }
}

impl Dying {
    pub(super) const fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// Somebody lives there again: what was found is of no use.
    pub(super) fn forget(&mut self) {
        self.search = None;
    }

    /// Looks for them; `members` are those whom somebody saw.
    pub(super) fn search(
        &mut self,
        seen: ObservedCgroups<'_>,
        members: &Members,
        tier: Backend,
        waker: &Arc<Waker>,
    ) -> io::Result<()> {
        let pin = |(pid, start_ns)| PinnedProcess::open_started(pid, start_ns, tier).ok();
        let mut certain: Vec<_> = left_behind(seen)?.into_iter().filter_map(pin).collect();
        let mut strangers = Vec::new();
        if seen.0.iter().any(|(watch, _)| !watch.pinned.is_v2()) {
            for (pid, start_ns) in exiting::find()? {
                let found = if members.has(pid, Some(start_ns)) {
                    &mut certain
                } else {
                    &mut strangers
                };
                found.extend(pin((pid, start_ns)));
            }
        }
        self.found(certain, strangers, waker);
        Ok(())
    }

    fn found(
        &mut self,
        members: Vec<PinnedProcess>,
        strangers: Vec<PinnedProcess>,
        waker: &Arc<Waker>,
    ) {
        let watch = |process| {
            let watch = Watch::process(process);
            watch.attach(waker);
            watch
        };
        let end = Instant::now() + PATIENCE;
        let alarm = Arc::clone(waker);
        self.search = Some(Search {
            members: members.into_iter().map(watch).collect(),
            strangers: strangers.into_iter().map(watch).collect(),
            end,
            alarm: tokio::spawn(async move {
                sleep_until(end).await;
                alarm.wake(WokenBy::Timer);
            }),
        });
    }

    /// Whether somebody still has to be waited for.
    pub(super) fn remain(&mut self) -> io::Result<bool> {
        let Some(search) = &mut self.search else {
            return Ok(false);
        };
        if Instant::now() >= search.end {
            search.strangers.clear();
        }
        retain_running(&mut search.members)?;
        retain_running(&mut search.strangers)?;
        Ok(!search.members.is_empty() || !search.strangers.is_empty())
    }

    /// Those who need not be members are not waited for any more.
    pub(super) fn give_up_strangers(&mut self) {
        if let Some(search) = &mut self.search {
            search.strangers.clear();
        }
    }

    /// Pids of the members that are left.
    pub(super) fn members(&self) -> impl Iterator<Item = u32> {
        let members = self.search.iter().flat_map(|search| &search.members);
        members.map(|watch| watch.pinned.tgid)
    }
}

fn retain_running(watches: &mut Vec<Watch<PinnedProcess>>) -> io::Result<()> {
    let mut failed = None;
    watches.retain(|watch| match watch.pinned.state() {
        Ok(state) => !state.has_exited(),
        Err(error) => {
            failed = Some(error);
            true
        }
    });
    failed.map_or(Ok(()), Err)
}
