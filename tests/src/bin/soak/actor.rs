//! Actions during a wait: the kill, and what follows.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    cgroups::Cgroups,
    plan::{Death, Plan, Reaping, Shape},
    spawner::{Members, Spawner},
};

/// Number of members that move to another cgroup.
const MIGRANTS: usize = 3;

/// Executes the plan of a trial.
pub(crate) struct Actor<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cgroups: &'a Cgroups,
    pub(crate) members: &'a Members,
    pub(crate) spawner: Mutex<&'a mut Spawner>,
    pub(crate) patience: Duration,
    /// The moment of the first action.
    pub(crate) killed_at: OnceLock<Instant>,
}

impl<'a> Actor<'a> {
    pub(crate) fn spawner(&self) -> MutexGuard<'_, &'a mut Spawner> {
        self.spawner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the members as the plan says.
    pub(crate) fn kill(&self) -> Result<()> {
        pause(self.plan.delay);
        if self.plan.reaping == Reaping::AtOnce {
            self.spawner().reap()?;
        }
        match self.plan.shape {
            Shape::Frozen => {
                self.cgroups.freeze(self.patience)?;
                self.die()?;
                self.cgroups.thaw()
            }
            Shape::Migration => {
                let _moved = self.killed_at.set(Instant::now());
                for &pid in self.members.pids.iter().take(MIGRANTS) {
                    self.cgroups.move_out(pid);
                }
                self.die()
            }
            Shape::Grown => {
                self.cgroups.grow(self.members.pids[0])?;
                self.die()
            }
            _ => self.die(),
        }
    }

    /// Executes the actions after the kill.
    pub(crate) fn follow_up(&self) -> Result<()> {
        if self.plan.shape == Shape::Removed {
            self.remove()?;
        }
        let kills = self.plan.death != Death::Leave;
        self.cgroups.wait_until_empty(kills, self.patience)?;
        if self.plan.shape == Shape::Migration {
            pause(self.plan.delay);
            self.cgroups.kill_moved();
        }
        if let Reaping::Late(delay) = self.plan.reaping {
            pause(delay);
            self.spawner().reap()?;
        }
        Ok(())
    }

    fn die(&self) -> Result<()> {
        let _moved_before = self.killed_at.set(Instant::now());
        match self.plan.death {
            Death::Together => self.cgroups.kill_all(true),
            Death::OneByOne => self.cgroups.kill_all(false),
            Death::Leave => self.spawner().leave()?,
        }
        Ok(())
    }

    /// Removes the cgroups as soon as the kernel allows it.
    fn remove(&self) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.cgroups.remove() {
            if begun.elapsed() > self.patience {
                bail!("cannot remove {:?}: {error}", self.cgroups.tops);
            }
            if self.plan.death != Death::Leave {
                self.cgroups.kill_all(false);
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
