//! One trial from beginning to end: made, killed, waited for, judged, cleared
//! away.

use std::{
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use probe_user::{
    model::{Backend, Until},
    unstable::{
        proc::pinned::PinnedProcess,
        wait::{Hub, Met, Target, Wait},
    },
};
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use crate::{
    ground::{Ground, Mounts},
    hand::Hand,
    judge,
    lie::Liar,
    nursery::{Hog, Nursery},
    plan::{Conduct, Hierarchy, Plan, Shape},
};

/// What all trials of a run share.
pub(crate) struct Course {
    pub(crate) seed: u64,
    pub(crate) backend: Backend,
    pub(crate) hub: Hub,
    pub(crate) runtime: Handle,
    pub(crate) mounts: Mounts,
    /// A wait that takes longer hangs.
    pub(crate) patience: Duration,
    pub(crate) liar: Option<Liar>,
    pub(crate) is_small: bool,
    pub(crate) is_childless: bool,
}

/// How it went.
pub(crate) struct Trial {
    pub(crate) index: u64,
    pub(crate) plan: Plan,
    pub(crate) result: Result<Outcome>,
}

/// What the wait said, and what the kernel said to that.
pub(crate) struct Outcome {
    /// `None`: it hangs.
    pub(crate) met: Option<Met>,
    /// From the kill to the verdict.
    pub(crate) took: Duration,
    pub(crate) contradictions: Vec<String>,
    /// Of the kernel, if something is wrong.
    pub(crate) state: Vec<String>,
}

impl Course {
    pub(crate) fn plan(&self, index: u64) -> Plan {
        let mut plan = Plan::of(self.seed, index);
        if self.is_small {
            plan = plan.small();
        }
        if self.is_childless {
            plan = plan.childless();
        }
        // What the lies are about.
        if self.liar.is_some() {
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
            if self.is_childless {
                " --childless"
            } else {
                ""
            }
        )
    }

    pub(crate) fn run(&self, index: u64, nursery: &mut Nursery) -> Trial {
        let plan = self.plan(index);
        let result = Ground::make(&self.mounts, &plan, index).and_then(|ground| {
            let result = self.run_on(&ground, &plan, nursery);
            let cleared = ground.clear(self.patience).and_then(|()| nursery.end());
            result.and_then(|outcome| cleared.map(|()| outcome))
        });
        Trial {
            index,
            plan,
            result,
        }
    }

    fn run_on(&self, ground: &Ground, plan: &Plan, nursery: &mut Nursery) -> Result<Outcome> {
        if plan.shape == Shape::Repopulated {
            nursery.breed_one(ground)?;
            ground.insist(true, self.patience)?;
        }
        let hogs: Vec<Hog> = (0..plan.hogs)
            .map(|_| Hog::start())
            .collect::<Result<_>>()?;
        let brood = nursery.breed(plan, ground)?;
        let hand = Hand {
            plan,
            ground,
            brood: &brood,
            nursery: nursery.into(),
            patience: self.patience,
            struck: OnceLock::new(),
        };
        if plan.is_late {
            hand.kill()?;
        }
        let outcome = self.wait(&hand);
        drop(hogs);
        outcome
    }

    /// And, at the same time, what is waited for.
    fn wait(&self, hand: &Hand<'_>) -> Result<Outcome> {
        let waits = Waits::arm(self, hand)?;
        thread::scope(|scope| {
            let actor = scope.spawn(move || {
                if !hand.plan.is_late {
                    hand.kill()?;
                }
                hand.follow_up()
            });
            let outcome = waits.judged(self, hand);
            let acted = actor
                .join()
                .map_err(|_panic| anyhow!("the hand panicked"))?;
            match outcome {
                // What hangs is told of, whatever the hand did then.
                Ok(outcome) if outcome.met.is_none() => Ok(outcome),
                outcome => acted.and(outcome),
            }
        })
    }
}

/// Those that wait in one trial.
struct Waits {
    first: Wait,
    /// Resolves as well.
    second: Option<JoinHandle<std::io::Result<Met>>>,
}

impl Waits {
    fn arm(course: &Course, hand: &Hand<'_>) -> Result<Self> {
        let _inside = course.runtime.enter();
        let arm = || {
            let target = target(course, hand)?;
            course.hub.arm(target, hand.plan.until).context("arm")
        };
        let first = arm()?;
        let mut second = None;
        if hand.plan.shape == Shape::Shared {
            let mut given_up = arm()?;
            let mut other = arm()?;
            let patience = hand.plan.delay;
            course
                .runtime
                .spawn(async move { timeout(patience, given_up.met()).await.is_ok() });
            second = Some(course.runtime.spawn(async move { other.met().await }));
        }
        Ok(Self { first, second })
    }

    /// The verdict, and at once what the kernel says to it.
    fn judged(mut self, course: &Course, hand: &Hand<'_>) -> Result<Outcome> {
        let met = self.verdict(course, hand)?;
        let said = Instant::now();
        let struck = hand.struck.get().copied();
        let (plan, ground, brood) = (hand.plan, hand.ground, hand.brood);
        let mut contradictions = Vec::new();
        if let Some(met) = met {
            // What was pinned before the kill is certain in any case.
            let certain = met.exact || !plan.is_late && plan.conduct != Conduct::Relays;
            contradictions = judge::contradictions(plan, ground, brood, certain);
            let all = plan.until == Until::Reaped && plan.shape != Shape::Process;
            if all && met.exact && !hand.nursery().is_childless()? {
                contradictions.push("the parent has children that it has not reaped".to_owned());
            }
        }
        let mut hangs = met.is_none();
        if let Some(second) = self.second.take() {
            let met = async { timeout(course.patience, second).await };
            let met = course.runtime.block_on(met);
            hangs |= met.map(|met| anyhow::Ok(met??)).ok().transpose()?.is_none();
        }
        let state = if hangs || !contradictions.is_empty() {
            judge::state(ground, brood)
        } else {
            Vec::new()
        };
        Ok(Outcome {
            met: met.filter(|_| !hangs),
            took: struck.map_or(Duration::ZERO, |struck| {
                said.saturating_duration_since(struck)
            }),
            contradictions,
            state,
        })
    }

    fn verdict(&mut self, course: &Course, hand: &Hand<'_>) -> Result<Option<Met>> {
        if let Some(liar) = &course.liar {
            let told = liar.wait(hand.ground, hand.brood, course.patience)?;
            let met = Met {
                already: false,
                exact: true,
                woken_by: None,
            };
            return Ok(told.then_some(met));
        }
        let met = async { timeout(course.patience, self.first.met()).await };
        match course.runtime.block_on(met) {
            Ok(met) => Ok(Some(met.context("look")?)),
            Err(_elapsed) => Ok(None),
        }
    }
}

fn target(course: &Course, hand: &Hand<'_>) -> Result<Target> {
    let mut target = Target::default();
    let shape = hand.plan.shape;
    if shape != Shape::Process {
        for top in &hand.ground.tops {
            let cgroup = Target::cgroup(top).context("pin the cgroup")?;
            target.cgroups.extend(cgroup.cgroups);
        }
    }
    if matches!(shape, Shape::Process | Shape::Container) {
        let init = PinnedProcess::open(hand.brood.pids[0], course.backend);
        target.processes.push(init.context("pin the process")?);
    }
    Ok(target)
}
