//! The waits of one trial, and the judgement of their verdict.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use probe_user::unstable::{
    proc::pinned::PinnedProcess,
    wait::{Met, Target, Wait, condition::Answer},
};
use tokio::{
    task::{JoinHandle, yield_now},
    time::timeout,
};

use crate::{
    actor::Actor,
    checks::{self, Claim},
    exactness::{self, Conditions},
    nest::Limit,
    plan::{Aim, Shape},
    trial::{Outcome, Soak},
};

/// The waits of one trial.
pub(crate) struct Waits {
    first: Wait,
    /// A second wait, which must end too.
    second: Option<JoinHandle<io::Result<Met>>>,
}

impl Waits {
    pub(crate) fn arm(soak: &Soak, actor: &Actor<'_>) -> Result<Self> {
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
    pub(crate) fn checked(
        mut self,
        soak: &Soak,
        actor: &Actor<'_>,
        limit: Option<Limit>,
    ) -> Result<Outcome> {
        let met = self.verdict(soak, actor);
        drop(limit);
        let met = met?;
        let verdict_at = Instant::now();
        let killed_at = actor.killed_at.get().copied();
        let (plan, cgroups, members) = (actor.plan, actor.cgroups, actor.members);
        let mut contradictions = Vec::new();
        if let Some(met) = met {
            let is_exact = met.exact;
            let covers_listed = is_exact || plan.has_listed_members();
            let claim = Claim {
                is_exact,
                covers_listed,
            };
            contradictions = checks::contradictions(actor, claim)?;
            let conditions = Conditions {
                backend: soak.backend,
                has_v1: cgroups.tops.iter().any(|top| !top.is_v2()),
                leaves_late: soak.leaves_late,
            };
            if !is_exact && exactness::is_required(plan, conditions) {
                contradictions.push("the verdict can be exact".to_owned());
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
            is_refused: false,
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
        let is_eager = actor.plan.is_eager;
        let met = async {
            let verdict = async {
                if is_eager {
                    met_by_looking(&mut self.first).await
                } else {
                    self.first.met().await
                }
            };
            timeout(soak.patience, verdict).await
        };
        match soak.runtime.block_on(met) {
            Ok(met) => Ok(Some(met.context("look")?)),
            Err(_elapsed) => Ok(None),
        }
    }
}

/// Looks without a pause, which finds a state that lasts for a moment only.
async fn met_by_looking(wait: &mut Wait) -> io::Result<Met> {
    loop {
        if let Answer::Yes { exact } = wait.look()? {
            return Ok(Met {
                exact,
                already: false,
                woken_by: None,
            });
        }
        yield_now().await;
    }
}

fn target(soak: &Soak, actor: &Actor<'_>) -> Result<Target> {
    let mut target = Target::default();
    let aim = actor.plan.aim;
    if aim != Aim::Process {
        for top in &actor.cgroups.tops {
            let cgroup = Target::cgroup(top.directory()).context("pin the cgroup")?;
            target.cgroups.extend(cgroup.cgroups);
        }
    }
    if aim != Aim::Cgroup {
        let init = PinnedProcess::open(actor.members.pids[0], soak.backend);
        target.processes.push(init.context("pin the process")?);
    }
    Ok(target)
}
