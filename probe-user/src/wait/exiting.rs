//! Finds processes that may still be exiting in a cgroup with empty lists.
//!
//! From Linux 6.19 on a task leaves its cgroup after its end, and the lists of a v1 or a
//! removed cgroup hide such tasks. `/proc` is therefore searched once if a cgroup seems
//! empty and nothing proves it. On v2 `/proc` shows the cgroup of a process until the
//! process is reaped. On v1 it does not: there the wait goes on while any process of the
//! machine is exiting, but for a process that was never seen as a member only for a limited
//! time.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    members::Members,
    occupancy::Occupancy,
    processes::retain_before,
    waker::{Waker, WokenBy},
    watch::Watch,
};
use crate::{
    model::{Backend, CgroupState, ProcessState},
    proc::{
        detached, directory, exiting,
        pinned::{PinProcessError, PinnedProcess},
    },
};

/// How long the exit of a process that may be no member delays a verdict. Such an exit may
/// hang in a device, or the process may be the init of another container.
const UNRELATED_LIMIT: Duration = Duration::from_secs(2);

/// Cgroups, and the last observed state of each.
pub(super) type ObservedCgroups<'a> = (&'a [Arc<Watch<Occupancy>>], &'a [CgroupState]);

/// Finds the processes that are or were in one of the v2 cgroups.
pub(super) fn detached_members(
    (cgroups, states): ObservedCgroups<'_>,
) -> io::Result<directory::Search> {
    let mut all = directory::Search {
        found: Vec::new(),
        is_complete: true,
    };
    for (watch, &state) in cgroups.iter().zip(states) {
        if watch.pinned.is_v2() {
            let is_removed = state == CgroupState::Removed;
            let search = detached::find(&watch.pinned.cgroup, is_removed)?;
            all.found.extend(search.found);
            all.is_complete &= search.is_complete;
        }
    }
    Ok(all)
}

/// The processes that one search found.
#[derive(Debug, Default)]
pub(super) struct ExitingProcesses {
    search: Option<Search>,
}

#[derive(Debug)]
struct Search {
    members: Vec<Watch<PinnedProcess>>,
    unrelated: Vec<Watch<PinnedProcess>>,
    /// Whether `/proc` showed every process, and those that were found could be opened.
    is_complete: bool,
    end: Instant,
    /// Wakes the wait when the limit for unrelated processes has passed.
    timer: JoinHandle<()>,
}

impl Drop for Search {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl ExitingProcesses {
    pub(super) const fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// Whether the search has found every process of the v2 cgroups.
    pub(super) fn is_complete(&self) -> bool {
        self.search.as_ref().is_some_and(|it| it.is_complete)
    }

    /// Drops the result of the search, because a cgroup is populated again.
    pub(super) fn forget(&mut self) {
        self.search = None;
    }

    /// Searches `/proc`. `members` are the processes that were listed in the cgroups.
    pub(super) fn search(
        &mut self,
        observed: ObservedCgroups<'_>,
        members: &Members,
        best_backend: Backend,
        waker: &Arc<Waker>,
    ) -> io::Result<()> {
        let detached = detached_members(observed)?;
        let mut is_complete = detached.is_complete;
        let mut pin = |(pid, start_ns)| {
            let pinned = PinnedProcess::open_started(pid, start_ns, best_backend);
            is_complete &= matches!(&pinned, Ok(_) | Err(PinProcessError::NotFound { .. }));
            pinned.ok()
        };
        let mut members_found: Vec<_> = detached.found.into_iter().filter_map(&mut pin).collect();
        let mut unrelated = Vec::new();
        if observed.0.iter().any(|watch| !watch.pinned.is_v2()) {
            for (pid, start_ns) in exiting::find()?.found {
                let found = if members.has(pid, start_ns) {
                    &mut members_found
                } else {
                    &mut unrelated
                };
                found.extend(pin((pid, start_ns)));
            }
        }
        let watch = |process| {
            let watch = Watch::process(process);
            watch.attach(waker);
            watch
        };
        let end = Instant::now() + UNRELATED_LIMIT;
        let at_end = Arc::clone(waker);
        self.search = Some(Search {
            members: members_found.into_iter().map(watch).collect(),
            unrelated: unrelated.into_iter().map(watch).collect(),
            is_complete,
            end,
            timer: tokio::spawn(async move {
                sleep_until(end).await;
                at_end.wake(WokenBy::Timer);
            }),
        });
        Ok(())
    }

    /// Whether a process that was found still delays the verdict.
    pub(super) fn remain(&mut self) -> io::Result<bool> {
        let Some(search) = &mut self.search else {
            return Ok(false);
        };
        if Instant::now() >= search.end {
            search.unrelated.clear();
        }
        let members = retain_before(ProcessState::Exited, &mut search.members)?;
        let unrelated = retain_before(ProcessState::Exited, &mut search.unrelated)?;
        Ok(!members.is_empty() || !unrelated.is_empty())
    }

    /// Stops waiting for processes that may be no members.
    pub(super) fn give_up_unrelated(&mut self) {
        if let Some(search) = &mut self.search {
            search.unrelated.clear();
        }
    }

    /// Pids of the members that are left.
    pub(super) fn members(&self) -> impl Iterator<Item = u32> {
        let members = self.search.iter().flat_map(|search| &search.members);
        members.map(|watch| watch.pinned.tgid)
    }
}
