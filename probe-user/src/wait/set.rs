//! Several waits under one bell: done when enough of them are.

use std::{io, sync::Arc};

use super::{
    armed::{Met, Wait},
    bell::{Bell, WokenBy},
    condition::Answer,
    hub::Hub,
    target::Target,
};
use crate::model::Until;

/// See the module.
#[derive(Debug)]
pub struct WaitSet {
    bell: Arc<Bell>,
    waits: Vec<(Wait, Option<Met>)>,
    has_looked: bool,
    woken_by: Option<WokenBy>,
}

impl Default for WaitSet {
    fn default() -> Self {
        Self {
            bell: Bell::new(),
            waits: Vec::new(),
            has_looked: false,
            woken_by: None,
        }
    }
}

impl WaitSet {
    /// Adds a wait; what happens from now on is not missed.
    pub fn arm(&mut self, hub: &Hub, target: Target, until: Until) -> io::Result<()> {
        let wait = hub.arm_with(target, until, Arc::clone(&self.bell))?;
        self.waits.push((wait, None));
        Ok(())
    }

    /// A wait that rings the same bell and is not counted.
    pub fn arm_beside(&self, hub: &Hub, target: Target, until: Until) -> io::Result<Wait> {
        hub.arm_with(target, until, Arc::clone(&self.bell))
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

    /// The look when the time is up: whoever is dying and need not be a member does
    /// not keep a v1 cgroup from being empty, as far as anybody knows.
    pub fn look_at_last(&mut self) -> io::Result<usize> {
        for (wait, met) in &mut self.waits {
            if met.is_none() {
                wait.give_up_strangers();
            }
        }
        self.has_looked &= self.woken_by.is_some();
        self.look()
    }

    /// Somebody else has come to wait for the same, such as a daemon that was
    /// asked to: these are woken before it.
    pub fn go_first(&self) {
        for (wait, _) in &self.waits {
            wait.go_first();
        }
    }

    /// Resolves once `needed` of them are done. May be dropped and called again.
    pub async fn met(&mut self, needed: usize) -> io::Result<()> {
        while self.look()? < needed {
            self.rung().await;
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
    pub async fn rung(&mut self) {
        self.woken_by = Some(self.bell.rung().await);
    }

    /// Something beside the watches is a reason to look.
    pub const fn woken(&mut self, by: WokenBy) {
        self.woken_by = Some(by);
    }

    /// For what happened beside the watches, such as an exit record.
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
