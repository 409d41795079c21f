//! The processes that a wait watches one by one, each held open, so that a later process with
//! the same pid is not mistaken for it.

use std::{io, sync::Arc};

use super::{waker::Waker, watch::Watch};
use crate::{
    model::{Backend, ProcessState, Until},
    proc::pinned::{PinProcessError, PinnedProcess},
};

/// The processes that have not reached the wanted state. Each wakes the wait when it does.
#[derive(Debug)]
pub(super) struct Processes {
    watches: Vec<Watch<PinnedProcess>>,
    wanted: ProcessState,
    best_backend: Backend,
    waker: Arc<Waker>,
    /// Number of processes that could not be opened.
    unheld: u64,
}

impl Processes {
    pub(super) const fn new(until: Until, best_backend: Backend, waker: Arc<Waker>) -> Self {
        let wanted = match until {
            Until::Reaped => ProcessState::Reaped,
            _ => ProcessState::Exited,
        };
        Self {
            watches: Vec::new(),
            wanted,
            best_backend,
            waker,
            unheld: 0,
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

    /// Adds the process with this pid. If the start is known, a later process with the same pid
    /// is not added.
    pub(super) fn add_by_pid(
        &mut self,
        pid: u32,
        start_boottime_ns: Option<u64>,
    ) -> io::Result<()> {
        if self
            .watches
            .iter()
            .any(|it| it.pinned.tgid == pid && is_before(it, ProcessState::Reaped))
        {
            return Ok(());
        }
        let process = match start_boottime_ns {
            Some(start_ns) => PinnedProcess::open_started(pid, start_ns, self.best_backend),
            None => PinnedProcess::open(pid, self.best_backend),
        };
        match process {
            Ok(process) => self.add(process),
            Err(PinProcessError::NotFound { .. } | PinProcessError::Thread { .. }) => {}
            Err(PinProcessError::Look { source, .. }) => return Err(source),
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }

    /// [`Processes::add_by_pid`] for a wait that has begun, which goes on without a process that
    /// cannot be held open, but is not exact any more. The pid is 0 if the process has none in
    /// the pid namespace of this process.
    pub(super) fn add_or_count(&mut self, pid: u32, start_boottime_ns: Option<u64>) {
        let added = if pid == 0 {
            Err(io::Error::other(
                "it is in no pid namespace that this process sees",
            ))
        } else {
            self.add_by_pid(pid, start_boottime_ns)
        };
        if let Err(error) = added {
            tracing::warn!(%error, pid, "cannot hold a member open: the verdict is not exact");
            self.unheld += 1;
        }
    }

    /// Whether every process that was added is watched.
    pub(super) const fn are_all_held(&self) -> bool {
        self.unheld == 0
    }

    /// Removes running processes that are not listed, except the first `known` processes.
    pub(super) fn keep_listed(&mut self, known: usize, mut listed: Vec<u32>) {
        listed.sort_unstable();
        let mut index = 0;
        self.watches.retain(|watch| {
            index += 1;
            let is_listed = listed.binary_search(&watch.pinned.tgid).is_ok();
            index <= known || is_listed || !is_before(watch, ProcessState::Exited)
        });
    }

    /// Thread groups that have not reached the wanted state.
    pub(super) fn remaining(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for watch in &self.watches {
            if watch.pinned.state()? < self.wanted {
                pids.push(watch.pinned.tgid);
            }
        }
        Ok(pids)
    }

    /// The states of the processes that have not reached the wanted state. A process never
    /// leaves the wanted state again, so it is removed when it reaches it.
    pub(super) fn states(&mut self) -> io::Result<Vec<ProcessState>> {
        retain_before(self.wanted, &mut self.watches)
    }
}

/// Removes the processes that have reached the state. Returns the states of the others.
pub(super) fn retain_before(
    reached: ProcessState,
    watches: &mut Vec<Watch<PinnedProcess>>,
) -> io::Result<Vec<ProcessState>> {
    let states = watches.iter().map(|it| it.pinned.state());
    let mut states: Vec<_> = states.collect::<io::Result<_>>()?;
    let mut state = states.iter();
    watches.retain(|_| state.next().is_some_and(|&it| it < reached));
    states.retain(|&it| it < reached);
    Ok(states)
}

fn is_before(watch: &Watch<PinnedProcess>, state: ProcessState) -> bool {
    watch.pinned.state().is_ok_and(|it| it < state)
}
