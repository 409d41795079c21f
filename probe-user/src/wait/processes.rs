//! The processes that a wait holds: none of them is another one unnoticed.

use std::{io, sync::Arc};

use super::{waker::Waker, watch::Watch};
use crate::{
    model::{Backend, ProcessState, Until},
    proc::pinned::{PinProcessError, PinnedProcess},
};

/// Those that have not come as far as is asked. Each wakes the wait when it does.
#[derive(Debug)]
pub(super) struct Processes {
    watches: Vec<Watch<PinnedProcess>>,
    wanted: ProcessState,
    tier: Backend,
    waker: Arc<Waker>,
}

impl Processes {
    pub(super) const fn new(until: Until, tier: Backend, waker: Arc<Waker>) -> Self {
        let wanted = match until {
            Until::Reaped => ProcessState::Reaped,
            _ => ProcessState::Exited,
        };
        Self {
            watches: Vec::new(),
            wanted,
            tier,
            waker,
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.watches.len()
    }

    pub(super) fn have_pidfd(&self) -> bool {
        self.watches.iter().any(|it| it.pinned.pidfd().is_some())
    }

    pub(super) fn reregister(&self) {
        for watch in &self.watches {
            watch.reregister();
        }
    }

    pub(super) fn add(&mut self, process: PinnedProcess) {
        let watch = Watch::process(process);
        watch.attach(&self.waker);
        self.watches.push(watch);
    }

    /// Not somebody who has the pid by now, if the start is known.
    pub(super) fn add_by_pid(&mut self, pid: u32, start_boottime_ns: Option<u64>) {
        if self
            .watches
            .iter()
            .any(|it| it.pinned.tgid == pid && it.is_there())
        {
            return;
        }
        let process = match start_boottime_ns {
            Some(start_ns) => PinnedProcess::open_started(pid, start_ns, self.tier),
            None => PinnedProcess::open(pid, self.tier),
        };
        match process {
            Ok(process) => self.add(process),
            Err(PinProcessError::NotFound { .. } | PinProcessError::Thread { .. }) => {}
            Err(error) => tracing::debug!(%error, "a member that cannot be pinned"),
        }
    }

    /// Lets go of those that run and are not listed, but for the first `known`.
    pub(super) fn keep_listed(&mut self, known: usize, mut listed: Vec<u32>) {
        listed.sort_unstable();
        let mut index = 0;
        self.watches.retain(|watch| {
            index += 1;
            let is_listed = listed.binary_search(&watch.pinned.tgid).is_ok();
            index <= known || is_listed || !watch.runs()
        });
    }

    /// Thread groups that have not come as far as is asked.
    pub(super) fn remaining(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for watch in &self.watches {
            if watch.pinned.state()? < self.wanted {
                pids.push(watch.pinned.tgid);
            }
        }
        Ok(pids)
    }

    /// How far each has come that has not come as far as is asked. What has come so
    /// far never goes back: it need not be asked again.
    pub(super) fn states(&mut self) -> io::Result<Vec<ProcessState>> {
        let mut failed = None;
        let mut states = Vec::new();
        self.watches.retain(|watch| match watch.pinned.state() {
            Ok(state) if state >= self.wanted => false,
            Ok(state) => {
                states.push(state);
                true
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(states), Err)
    }
}

impl Watch<PinnedProcess> {
    fn runs(&self) -> bool {
        self.pinned.state().is_ok_and(|state| !state.has_exited())
    }

    fn is_there(&self) -> bool {
        self.pinned
            .state()
            .is_ok_and(|state| state != ProcessState::Reaped)
    }
}
