//! [`WaitSet`], several waits with one waker, which is done when enough of them are.

use std::{io, sync::Arc};

use super::{
    armed::{Met, Wait},
    condition::Answer,
    hub::Hub,
    target::Target,
    waker::{Waker, WokenBy},
};
use crate::model::Until;

/// Several waits with one waker.
#[derive(Debug, Default)]
pub struct WaitSet {
    waker: Arc<Waker>,
    waits: Vec<(Wait, Option<Met>)>,
    has_looked: bool,
    woken_by: Option<WokenBy>,
}

impl WaitSet {
    /// Adds a wait; no change of its target from now on is missed.
    pub fn arm(&mut self, hub: &Hub, target: Target, until: Until) -> io::Result<()> {
        let wait = hub.arm_with(target, until, Arc::clone(&self.waker))?;
        self.waits.push((wait, None));
        Ok(())
    }

    /// Arms a wait that also wakes the set, but is not part of it.
    pub fn arm_beside(&self, hub: &Hub, target: Target, until: Until) -> io::Result<Wait> {
        hub.arm_with(target, until, Arc::clone(&self.waker))
    }

    /// Looks at the waits that are not done yet. Returns how many waits are done. A wait that
    /// is done stays done.
    pub fn look(&mut self) -> io::Result<usize> {
        for (wait, met) in self.waits.iter_mut().filter(|(_, met)| met.is_none()) {
            if let Answer::Yes { exact } = wait.look()? {
                *met = Some(Met {
                    exact,
                    already: !self.has_looked,
                    woken_by: self.woken_by,
                });
            }
        }
        self.has_looked = true;
        Ok(self.waits.iter().filter(|(_, met)| met.is_some()).count())
    }

    /// Looks for the last time, because the time limit has passed. A v1 cgroup then counts as
    /// empty even if processes are exiting that may be members.
    pub fn look_at_last(&mut self) -> io::Result<usize> {
        for (wait, met) in &mut self.waits {
            if met.is_none() {
                wait.give_up_unrelated();
            }
        }
        self.has_looked &= self.woken_by.is_some();
        self.look()
    }

    /// Registers with the kernel again, after another process, such as the daemon, has begun
    /// to watch the same targets. The kernel wakes the newest watcher first.
    pub fn reregister(&self) {
        for (wait, _) in &self.waits {
            wait.reregister();
        }
    }

    /// Resolves once `needed` waits are done. Cancel safe.
    pub async fn met(&mut self, needed: usize) -> io::Result<()> {
        while self.look()? < needed {
            self.woken().await;
        }
        Ok(())
    }

    /// Number of waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Whether the set has no waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// Resolves when there is a reason to look; never without waits.
    pub async fn woken(&mut self) {
        self.woken_by = Some(self.waker.woken().await);
    }

    /// Notes that an event outside of the set is the reason for the next
    /// [`look`](Self::look): for waits that it finds done, the wake-up source is
    /// [`WokenBy::External`].
    pub const fn record_external_wake(&mut self) {
        self.woken_by = Some(WokenBy::External);
    }

    /// The source that caused the last look.
    #[must_use]
    pub const fn woken_by(&self) -> Option<WokenBy> {
        self.woken_by
    }

    /// The waits in the order in which they were added, each with how its condition became
    /// true.
    pub fn waits(&self) -> impl Iterator<Item = (&Wait, Option<Met>)> {
        self.waits.iter().map(|(wait, met)| (wait, *met))
    }
}
