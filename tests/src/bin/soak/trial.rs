//! One trial: set-up, wait, kill, checks, clean-up.

use std::{
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use probe_tests::Running;
use probe_user::{
    model::{Backend, Until},
    unstable::{
        proc::pinned::PinnedProcess,
        wait::{Hub, Met, Target, Wait},
    },
};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use crate::{
    actor::Actor,
    cgroups::{Cgroups, Mounts},
    checks,
    faulty_wait::FaultyWaiter,
    plan::{Behaviour, Hierarchy, Plan, Shape},
    spawner::Spawner,
};

/// State of a run that all trials share.
pub(crate) struct Soak {
    pub(crate) seed: u64,
    pub(crate) backend: Backend,
    pub(crate) hub: Hub,
    pub(crate) runtime: Handle,
    pub(crate) mounts: Mounts,
    /// A longer wait counts as hung.
    pub(crate) patience: Duration,
    pub(crate) faulty_waiter: Option<FaultyWaiter>,
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
    pub(crate) contradictions: Vec<String>,
    /// The kernel's state, if something is wrong.
    pub(crate) state: Vec<String>,
}

impl Soak {
    pub(crate) fn plan(&self, index: u64) -> Plan {
        let mut plan = Plan::of(self.seed, index);
        if self.is_small {
            plan = plan.small();
        }
        if self.no_forks {
            plan = plan.without_forks();
        }
        // The faulty ways to wait work only for these plans.
        if self.faulty_waiter.is_some() {
            plan.until = Until::Empty;
            plan.is_late = false;
            plan.hierarchy = Hierarchy::V2;
            if plan.shape == Shape::Process {
                plan.shape = Shape::Plain;
            }
        }
        plan
    }

    pub(crate) fn replay(&self, index: u64) -> String {
        format!(
            "cargo xtask soak --backend {} --seed {} --only {index}{}{}",
            self.backend.as_str(),
            self.seed,
            if self.is_small { " --small" } else { "" },
            if self.no_forks { " --no-forks" } else { "" }
        )
    }

    pub(crate) fn run(&self, index: u64, spawner: &mut Spawner) -> Trial {
        let plan = self.plan(index);
        let result = Cgroups::make(&self.mounts, &plan, index).and_then(|cgroups| {
            let result = self.run_on(&cgroups, &plan, spawner);
            let cleared = cgroups.clear(self.patience).and_then(|()| spawner.reset());
            result.and_then(|outcome| cleared.map(|()| outcome))
        });
        Trial {
            index,
            plan,
            result,
        }
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
        let waits = Waits::arm(self, actor)?;
        thread::scope(|scope| {
            let acting = scope.spawn(move || {
                if !actor.plan.is_late {
                    actor.kill()?;
                }
                actor.follow_up()
            });
            let outcome = waits.checked(self, actor);
            let acted = acting
                .join()
                .map_err(|_panic| anyhow!("the actor panicked"))?;
            match outcome {
                // A hang is reported even if the actor failed.
                Ok(outcome) if outcome.met.is_none() => Ok(outcome),
                outcome => acted.and(outcome),
            }
        })
    }
}

/// The waits of one trial.
struct Waits {
    first: Wait,
    /// A second wait, which must end too.
    second: Option<JoinHandle<std::io::Result<Met>>>,
}

impl Waits {
    fn arm(soak: &Soak, actor: &Actor<'_>) -> Result<Self> {
        let _inside = soak.runtime.enter();
        let arm = || {
            let target = target(soak, actor)?;
            soak.hub.arm(target, actor.plan.until).context("arm")
        };
        let first = arm()?;
        let mut second = None;
        if actor.plan.shape == Shape::Shared {
            let mut given_up = arm()?;
            let mut other = arm()?;
            let patience = actor.plan.delay;
            soak.runtime
                .spawn(async move { timeout(patience, given_up.met()).await.is_ok() });
            second = Some(soak.runtime.spawn(async move { other.met().await }));
        }
        Ok(Self { first, second })
    }

    /// Waits for the verdict and checks it at once.
    fn checked(mut self, soak: &Soak, actor: &Actor<'_>) -> Result<Outcome> {
        let met = self.verdict(soak, actor)?;
        let verdict_at = Instant::now();
        let killed_at = actor.killed_at.get().copied();
        let (plan, cgroups, members) = (actor.plan, actor.cgroups, actor.members);
        let mut contradictions = Vec::new();
        if let Some(met) = met {
            // A process that was pinned before the kill is certain in any case.
            let certain = met.exact || !plan.is_late && plan.behaviour != Behaviour::Relays;
            contradictions = checks::contradictions(plan, cgroups, members, certain);
            let all = plan.until == Until::Reaped && plan.shape != Shape::Process;
            if all && met.exact && !actor.spawner().has_no_children()? {
                contradictions.push("the parent has children that it has not reaped".to_owned());
            }
        }
        let mut hangs = met.is_none();
        if let Some(second) = self.second.take() {
            let met = async { timeout(soak.patience, second).await };
            let met = soak.runtime.block_on(met);
            hangs |= met.map(|met| anyhow::Ok(met??)).ok().transpose()?.is_none();
        }
        let state = if hangs || !contradictions.is_empty() {
            checks::state(cgroups, members)
        } else {
            Vec::new()
        };
        Ok(Outcome {
            met: met.filter(|_| !hangs),
            took: killed_at.map_or(Duration::ZERO, |killed_at| {
                verdict_at.saturating_duration_since(killed_at)
            }),
            contradictions,
            state,
        })
    }

    fn verdict(&mut self, soak: &Soak, actor: &Actor<'_>) -> Result<Option<Met>> {
        if let Some(faulty_waiter) = &soak.faulty_waiter {
            let is_over = faulty_waiter.wait(actor.cgroups, actor.members, soak.patience)?;
            let met = Met {
                already: false,
                exact: true,
                woken_by: None,
            };
            return Ok(is_over.then_some(met));
        }
        let met = async { timeout(soak.patience, self.first.met()).await };
        match soak.runtime.block_on(met) {
            Ok(met) => Ok(Some(met.context("look")?)),
            Err(_elapsed) => Ok(None),
        }
    }
}

fn target(soak: &Soak, actor: &Actor<'_>) -> Result<Target> {
    let mut target = Target::default();
    let shape = actor.plan.shape;
    if shape != Shape::Process {
        for top in &actor.cgroups.tops {
            let cgroup = Target::cgroup(top.directory()).context("pin the cgroup")?;
            target.cgroups.extend(cgroup.cgroups);
        }
    }
    if matches!(shape, Shape::Process | Shape::Container) {
        let init = PinnedProcess::open(actor.members.pids[0], soak.backend);
        target.processes.push(init.context("pin the process")?);
    }
    Ok(target)
}

/// Starts a process that uses a CPU until it is dropped.
fn cpu_hog() -> Running {
    Running::spawn(Command::new("sh").args(["-c", "while :; do :; done"]))
}
