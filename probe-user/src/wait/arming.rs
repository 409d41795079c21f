//! Arms a wait: it subscribes to every source, then reads the members of the target.

use std::{io, sync::Arc};

use super::{
    armed::Wait, exiting::ExitingProcesses, following::Following, hub::Hub, members::Members,
    processes::Processes, target::Target, waker::Waker,
};
use crate::model::{CgroupState, Until};

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
        let watch = |pinned| self.watch(pinned);
        let best_backend = self.best_backend();
        let mut wait = Wait {
            until,
            best_backend,
            cgroups: target.cgroups.into_iter().map(watch).collect(),
            processes: Processes::new(until, best_backend, Arc::clone(&waker)),
            members: Members::default(),
            following: Following::default(),
            was_pending: false,
            was_always_empty: false,
            unlisted: Vec::new(),
            exiting: ExitingProcesses::default(),
            tree: target.tree,
            may_have_others: target.may_have_others,
            waker,
        };
        for watch in &wait.cgroups {
            watch.attach(&wait.waker);
            if until == Until::Removed {
                watch.watch_removal();
            }
            wait.following.entered.push(watch.pinned.subscribe());
        }
        for process in target.processes {
            wait.processes.add(process.for_backend(best_backend)?);
        }
        // The lists are read after the subscription, so that a member that enters later causes
        // a wake-up, and is reported by the BPF programs if they are attached.
        wait.add_entered(true)?;
        wait.add_listed()?;
        let observations = wait.cgroups.iter().map(|watch| watch.pinned.observe());
        let states = observations.map(|it| Ok(it?.state));
        let states = states.collect::<io::Result<Vec<_>>>()?;
        wait.was_always_empty = !states.contains(&CgroupState::Populated);
        Ok(wait)
    }
}
