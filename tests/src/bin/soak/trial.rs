//! One trial: set-up, wait, kill, checks, clean-up.

use std::{
    process::Command,
    sync::{OnceLock, mpsc::channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use probe_tests::Running;
use probe_user::{
    model::{Backend, Until},
    unstable::wait::{Hub, Met},
};
use tokio::runtime::Handle;

use crate::{
    actor::Actor,
    cgroups::Cgroups,
    faulty_wait::FaultyWaiter,
    mounts::Mounts,
    nest::{Limit, Nests},
    plan::{Hierarchy, Plan, Shape},
    spawner::Spawner,
    sys,
    waits::Waits,
};

/// State of a run that all trials share.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each fact is independent of the others"
)]
pub(crate) struct Soak {
    pub(crate) seed: u64,
    pub(crate) backend: Backend,
    pub(crate) hub: Hub,
    pub(crate) runtime: Handle,
    pub(crate) mounts: Mounts,
    /// A longer wait counts as hung.
    pub(crate) patience: Duration,
    pub(crate) faulty_waiter: Option<FaultyWaiter>,
    /// Draws this shape alone.
    pub(crate) shape: Option<Shape>,
    pub(crate) nests: Nests,
    pub(crate) is_nested: bool,
    /// Whether the lists of a cgroup may hide tasks that are in it.
    pub(crate) leaves_late: bool,
    pub(crate) is_small: bool,
    pub(crate) no_forks: bool,
}

/// A trial and its result.
pub(crate) struct Trial {
    pub(crate) index: u64,
    pub(crate) plan: Plan,
    pub(crate) result: Result<Outcome>,
}

/// The verdict of a trial, and the kernel's state that contradicts it.
pub(crate) struct Outcome {
    /// The verdict; `None` if the wait hangs.
    pub(crate) met: Option<Met>,
    /// From the kill to the verdict.
    pub(crate) took: Duration,
    /// Whether the wait ended with an error for want of descriptors, which is right as well.
    pub(crate) is_refused: bool,
    pub(crate) contradictions: Vec<String>,
    /// The kernel's state, if something is wrong.
    pub(crate) state: Vec<String>,
}

impl Soak {
    pub(crate) fn plan(&self, index: u64) -> Plan {
        let mut plan = Plan::of(self.seed, index, self.shape);
        if let Some(faulty_waiter) = &self.faulty_waiter {
            let shape = faulty_waiter.shape(plan.shape);
            plan = Plan::of(self.seed, index, Some(shape));
        }
        if self.is_small {
            plan = plan.small();
        }
        if self.no_forks {
            plan = plan.without_forks();
        }
        // The faulty ways to wait work only for these plans.
        if let Some(faulty_waiter) = &self.faulty_waiter {
            plan.until = Until::Empty;
            plan.is_late = false;
            plan.hierarchy = Hierarchy::V2;
            faulty_waiter.adjust(&mut plan);
        }
        plan
    }

    pub(crate) fn replay(&self, index: u64) -> String {
        format!(
            "cargo xtask soak --backend {} --seed {} --only {index}{}{}{}",
            self.backend.as_str(),
            self.seed,
            self.shape
                .map_or_else(String::new, |it| format!(" --shape {}", it.name())),
            if self.is_small { " --small" } else { "" },
            if self.no_forks { " --no-forks" } else { "" }
        )
    }

    pub(crate) fn run(&self, index: u64, spawner: &mut Spawner) -> Trial {
        let plan = self.plan(index);
        let result = match plan.shape.nest().filter(|_| !self.is_nested) {
            Some(nest) => self.nests.run(nest, self.seed, index),
            None => self.run_here(&plan, index, spawner),
        };
        Trial {
            index,
            plan,
            result,
        }
    }

    fn run_here(&self, plan: &Plan, index: u64, spawner: &mut Spawner) -> Result<Outcome> {
        let cgroups = Cgroups::make(&self.mounts, plan, index)?;
        let result = self.run_on(&cgroups, plan, spawner);
        // A list may miss a process that moves.
        let killed = if plan.shape.moves_inside() {
            spawner.kill()
        } else {
            Ok(())
        };
        let cleared = killed.and_then(|()| cgroups.clear(self.patience));
        let cleared = cleared.and_then(|()| spawner.reset());
        result.and_then(|outcome| cleared.map(|()| outcome))
    }

    fn run_on(&self, cgroups: &Cgroups, plan: &Plan, spawner: &mut Spawner) -> Result<Outcome> {
        if plan.shape == Shape::Repopulated {
            spawner.spawn_one(cgroups)?;
            cgroups.wait_until_empty(true, self.patience)?;
        }
        let cpu_hogs: Vec<_> = (0..plan.cpu_hogs).map(|_| cpu_hog()).collect();
        let members = spawner.spawn(plan, cgroups)?;
        let actor = Actor {
            plan,
            cgroups,
            members: &members,
            spawner: spawner.into(),
            patience: self.patience,
            killed_at: OnceLock::new(),
        };
        if plan.is_late {
            actor.kill()?;
        }
        let outcome = self.wait(&actor);
        drop(cpu_hogs);
        outcome
    }

    /// Runs the wait and the actor at the same time.
    fn wait(&self, actor: &Actor<'_>) -> Result<Outcome> {
        let free = actor.plan.free_descriptors;
        thread::scope(|scope| {
            let (is_ready, ready) = channel();
            let (is_armed, armed) = channel();
            let acting = scope.spawn(move || {
                // The wait uses all descriptors up, but not those of this thread.
                free.map_or(Ok(()), |_| sys::unshare_descriptors())?;
                is_ready.send(()).context("no trial")?;
                // Without a wait there is nothing to do.
                if armed.recv().is_err() {
                    return Ok(());
                }
                if !actor.plan.is_late {
                    actor.kill()?;
                }
                actor.follow_up()
            });
            ready.recv().context("the actor failed")?;
            let limit = free.map(Limit::leave).transpose()?;
            let outcome = Waits::arm(self, actor).and_then(|waits| {
                is_armed.send(()).context("the actor has ended")?;
                waits.checked(self, actor, limit)
            });
            drop(is_armed);
            let acted = acting
                .join()
                .map_err(|_panic| anyhow!("the actor panicked"))?;
            match outcome {
                Err(error) if free.is_some() && is_refusal(&error) => {
                    acted.map(|()| Outcome::refused())
                }
                // A hang is reported even if the actor failed.
                Ok(outcome) if outcome.met.is_none() => Ok(outcome),
                outcome => acted.and(outcome),
            }
        })
    }
}

/// Whether an error says that there are too many open files.
fn is_refusal(error: &anyhow::Error) -> bool {
    let text = std::io::Error::from_raw_os_error(libc::EMFILE).to_string();
    format!("{error:#}").contains(&text)
}

impl Outcome {
    fn refused() -> Self {
        Self {
            met: None,
            took: Duration::ZERO,
            is_refused: true,
            contradictions: Vec::new(),
            state: Vec::new(),
        }
    }
}

/// Starts a process that uses a CPU until it is dropped.
fn cpu_hog() -> Running {
    Running::spawn(Command::new("sh").args(["-c", "while :; do :; done"]))
}
