//! Several waits under one bell: done when enough of them are.

use std::{io, sync::Arc};

use super::{
    armed::{Met, Wait},
    bell::{Bell, WokenBy},
    hub::Hub,
    target::Target,
};
use crate::waiter::{Answer, Until};

/// See the module.
#[derive(Debug)]
pub struct WaitSet {
    bell: Arc<Bell>,
    waits: Vec<(Wait, Option<Met>)>,
    woken_by: Option<WokenBy>,
}

impl Default for WaitSet {
    fn default() -> Self {
        Self {
            bell: Bell::new(),
            waits: Vec::new(),
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

    /// Looks at those that are not done yet; how many are done now. One that is
    /// done stays so.
    pub fn look(&mut self) -> io::Result<usize> {
        for (wait, met) in self.waits.iter_mut().filter(|(_, met)| met.is_none()) {
            if let Answer::Yes { exact } = wait.look()? {
                *met = Some(Met {
                    exact,
                    woken_by: self.woken_by,
                });
            }
        }
        Ok(self.waits.iter().filter(|(_, met)| met.is_some()).count())
    }

    /// Resolves once `needed` of them are done. May be dropped and called again.
    pub async fn met(&mut self, needed: usize) -> io::Result<()> {
        while self.look()? < needed {
            self.woken_by = Some(self.bell.rung().await);
        }
        Ok(())
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
