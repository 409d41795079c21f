//! Several waits with one waker: done when enough of them are.

use std::{io, sync::Arc};

use super::{
    armed::{Met, Wait},
    condition::Answer,
    hub::Hub,
    target::Target,
    waker::{Waker, WokenBy},
};
use crate::model::Until;

/// See the module.
#[derive(Debug)]
pub struct WaitSet {
    waker: Arc<Waker>,
    waits: Vec<(Wait, Option<Met>)>,
    has_looked: bool,
    woken_by: Option<WokenBy>,
}

impl Default for WaitSet {
    fn default() -> Self {
        Self {
            waker: Waker::new(),
            waits: Vec::new(),
            has_looked: false,
            woken_by: None,
        }
    }
}

impl WaitSet {
    /// Adds a wait; what happens from now on is not missed.
    pub fn arm(&mut self, hub: &Hub, target: Target, until: Until) -> io::Result<()> {
        let wait = hub.arm_with(target, until, Arc::clone(&self.waker))?;
        self.waits.push((wait, None));
        Ok(())
    }

    /// A wait that wakes the set as well, but is not counted as one of it.
    pub fn arm_beside(&self, hub: &Hub, target: Target, until: Until) -> io::Result<Wait> {
        hub.arm_with(target, until, Arc::clone(&self.waker))
    }

    /// Looks at those that are not done yet; how many are done now. One that is
    /// done stays so.
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

    /// The look when the time is up. Processes that are exiting and may or may not
    /// be members no longer keep a v1 cgroup from counting as empty.
    pub fn look_at_last(&mut self) -> io::Result<usize> {
        for (wait, met) in &mut self.waits {
            if met.is_none() {
                wait.give_up_unrelated();
            }
        }
        self.has_looked &= self.woken_by.is_some();
        self.look()
    }

    /// Another process has begun to watch the same targets, such as a daemon that
    /// was asked to: registers with the kernel again, to be woken before it.
    pub fn reregister(&self) {
        for (wait, _) in &self.waits {
            wait.reregister();
        }
    }

    /// Resolves once `needed` of them are done. May be dropped and called again.
    pub async fn met(&mut self, needed: usize) -> io::Result<()> {
        while self.look()? < needed {
            self.woken().await;
        }
        Ok(())
    }

    /// How many waits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// Resolves when there is a reason to look; never, if nothing is watched.
    pub async fn woken(&mut self) {
        self.woken_by = Some(self.waker.woken().await);
    }

    /// Notes that the caller has a reason of its own for the next
    /// [`look`](Self::look): waits that it finds done were woken by
    /// [`WokenBy::External`].
    pub const fn record_external_wake(&mut self) {
        self.woken_by = Some(WokenBy::External);
    }

    /// To tell them of what happened beside the watches, such as an exit record.
    pub fn waits_mut(&mut self) -> impl Iterator<Item = &mut Wait> {
        self.waits.iter_mut().map(|(wait, _)| wait)
    }

    /// What led to the last look.
    #[must_use]
    pub const fn woken_by(&self) -> Option<WokenBy> {
        self.woken_by
    }

    /// Each wait in the order in which it was added, and how it was met.
    pub fn waits(&self) -> impl Iterator<Item = (&Wait, Option<Met>)> {
        self.waits.iter().map(|(wait, met)| (wait, *met))
    }
}
