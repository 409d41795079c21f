//! Actions during a wait: the kill, and what follows.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use probe_user::model::Until;

use crate::{
    cgroups::Cgroups,
    plan::{Aim, Death, Entry, Leave, Plan, Reaping, Shape},
    spawner::{Members, Spawner},
};

/// How long a process outlives the cgroup at least, so that a wait that misses it ends too early.
const SURVIVAL: Duration = Duration::from_millis(3);

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
                self.cgroups.freeze(0, self.patience)?;
                self.die()?;
                self.cgroups.thaw(0)
            }
            Shape::Paused => self.kill_paused(),
            Shape::Grown => {
                self.cgroups.grow(self.members.pids[0])?;
                self.die()
            }
            Shape::Visitors => {
                self.visits()?;
                self.die()
            }
            Shape::ReusedPids => self.reuse_pid(),
            _ => {
                self.migrate();
                self.die()
            }
        }
    }

    /// Executes the actions after the kill.
    pub(crate) fn follow_up(&self) -> Result<()> {
        if self.plan.shape == Shape::Removed || self.plan.until == Until::Removed {
            self.remove()?;
        }
        let kills = self.plan.death != Death::Leave;
        self.cgroups.wait_until_empty(kills, self.patience)?;
        if self.has_survivors() {
            pause(self.plan.delay + SURVIVAL);
            self.cgroups.kill_moved();
        }
        if let Reaping::Late(delay) = self.plan.reaping {
            pause(delay);
            self.spawner().reap()?;
        }
        Ok(())
    }

    /// Whether processes that were members live in another cgroup after the kill.
    const fn has_survivors(&self) -> bool {
        self.plan.migrants > 0 || matches!(self.plan.shape, Shape::Visitors | Shape::ReusedPids)
    }

    /// Moves members to another cgroup: the last ones, which a wait that runs out of descriptors
    /// misses first. The init of a container, the first, stays.
    fn migrate(&self) {
        if self.plan.migrants == 0 {
            return;
        }
        let _moved = self.killed_at.set(Instant::now());
        let stays = usize::from(self.plan.aim == Aim::Container);
        let movable = self.members.pids.iter().skip(stays);
        for &pid in movable.rev().take(self.plan.migrants) {
            self.cgroups.move_out(pid);
        }
    }

    /// Lets processes enter the target, and most of them leave it alive.
    fn visits(&self) -> Result<()> {
        for visit in &self.plan.visits {
            let how = (visit.entry, visit.leave);
            let pid = self.spawner().visit(self.plan, self.cgroups, how, None)?;
            if visit.entry == Entry::Moved {
                self.cgroups.move_in(pid);
            }
            pause(visit.stay);
            if visit.leave == Leave::Moved {
                self.cgroups.move_out(pid);
            }
        }
        Ok(())
    }

    /// A container that is killed while it is paused has stopped when it is resumed.
    fn kill_paused(&self) -> Result<()> {
        let frozen = self.plan.frozen;
        self.cgroups.freeze(frozen, self.patience)?;
        self.die()?;
        if self.cgroups.dies_frozen(frozen) {
            self.cgroups.wait_until_empty(true, self.patience)?;
        }
        pause(self.plan.delay + SURVIVAL);
        self.cgroups.thaw(frozen)
    }

    /// Gives the pid of the first member to another process. That is a stranger if the target
    /// is a process; otherwise it enters the cgroup and leaves it alive.
    fn reuse_pid(&self) -> Result<()> {
        let pid = self.members.pids[0];
        let mut spawner = self.spawner();
        if self.plan.aim == Aim::Process {
            let _killed = self.killed_at.set(Instant::now());
        }
        spawner.kill_one(pid)?;
        if self.plan.aim == Aim::Process {
            spawner.replace(self.plan, self.cgroups, pid)?;
        } else {
            let how = (Entry::ByItself, Leave::ByItself);
            spawner.visit(self.plan, self.cgroups, how, Some(pid))?;
        }
        drop(spawner);
        pause(self.plan.delay);
        self.die()
    }

    fn die(&self) -> Result<()> {
        let _moved_before = self.killed_at.set(Instant::now());
        match self.plan.death {
            Death::Leave => self.spawner().leave()?,
            Death::Together if self.cgroups.kill_together() => {}
            // A list may miss a process that moves.
            _ if self.plan.shape.moves_inside() => self.spawner().kill()?,
            _ => self.cgroups.kill_one_by_one(),
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
                self.cgroups.kill_one_by_one();
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
