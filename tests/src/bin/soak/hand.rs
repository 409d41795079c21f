//! What happens to a trial while somebody waits: the death, and what comes of
//! it.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    ground::Ground,
    nursery::{Brood, Nursery},
    plan::{Death, Plan, Reaping, Shape},
};

/// Members that move out.
const MIGRANTS: usize = 3;

/// See the module.
pub(crate) struct Hand<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) ground: &'a Ground,
    pub(crate) brood: &'a Brood,
    pub(crate) nursery: Mutex<&'a mut Nursery>,
    pub(crate) patience: Duration,
    /// When it began.
    pub(crate) struck: OnceLock<Instant>,
}

impl<'a> Hand<'a> {
    pub(crate) fn nursery(&self) -> MutexGuard<'_, &'a mut Nursery> {
        self.nursery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is done to the members.
    pub(crate) fn kill(&self) -> Result<()> {
        pause(self.plan.delay);
        if self.plan.reaping == Reaping::AtOnce {
            self.nursery().reap()?;
        }
        match self.plan.shape {
            Shape::Frozen => {
                self.ground.freeze(self.patience)?;
                self.die()?;
                self.ground.thaw()
            }
            Shape::Migration => {
                let _moved = self.struck.set(Instant::now());
                for &pid in self.brood.pids.iter().take(MIGRANTS) {
                    self.ground.evacuate(pid);
                }
                self.die()
            }
            Shape::Grown => {
                self.ground.grow(self.brood.pids[0])?;
                self.die()
            }
            _ => self.die(),
        }
    }

    /// What others do then.
    pub(crate) fn follow_up(&self) -> Result<()> {
        if self.plan.shape == Shape::Removed {
            self.remove()?;
        }
        let strikes = self.plan.death != Death::Leave;
        self.ground.insist(strikes, self.patience)?;
        if self.plan.shape == Shape::Migration {
            pause(self.plan.delay);
            self.ground.kill_refugees();
        }
        if let Reaping::Late(delay) = self.plan.reaping {
            pause(delay);
            self.nursery().reap()?;
        }
        Ok(())
    }

    fn die(&self) -> Result<()> {
        let _moved_before = self.struck.set(Instant::now());
        match self.plan.death {
            Death::Together => self.ground.strike(true),
            Death::OneByOne => self.ground.strike(false),
            Death::Leave => self.nursery().leave()?,
        }
        Ok(())
    }

    /// As soon as the kernel lets us.
    fn remove(&self) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.ground.remove() {
            if begun.elapsed() > self.patience {
                bail!("cannot remove {:?}: {error}", self.ground.tops);
            }
            if self.plan.death != Death::Leave {
                self.ground.strike(false);
            }
            thread::yield_now();
        }
        Ok(())
    }
}

fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if left.is_zero() {
            break;
        }
        thread::park_timeout(left);
    }
}
