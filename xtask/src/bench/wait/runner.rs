//! Runs the conditions: kills processes while one watcher after the other waits for them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    conditions::{Bound, Condition, Limit, Scene, Watcher},
    kernel_trace::KernelTrace,
    programs::{Program, Programs},
    target::{self, Target},
};
use crate::bench::{
    report::{Figure, RATIO},
    rounds,
    stats::{Estimate, percentile, to_f64},
};

/// The kernel notifies `cgroup.events` at most once in 10 ms, which is 16 ms where a tick
/// is 4 ms: after this time a notification is not delayed any more.
pub(crate) const RESTED: Duration = Duration::from_millis(20);
/// After this time the notification of the kill is still delayed.
pub(crate) const REPOPULATED: Duration = Duration::from_millis(3);

/// The moments of a kill, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    kill_ns: u64,
    /// The kernel's trace keeps microseconds.
    empty_ns: u64,
    /// The verdict and the source that woke the watcher; `None` if it reported none.
    verdict: Option<(u64, String)>,
}

pub(super) struct Runner<'a> {
    programs: &'a Programs,
    spawner: Program,
    trace: KernelTrace,
    random: Rng,
    pub(super) rounds: usize,
    kills: usize,
}

impl<'a> Runner<'a> {
    pub(super) fn start(programs: &'a Programs, rounds: usize, kills: usize) -> Result<Self> {
        Ok(Self {
            programs,
            spawner: programs.spawner()?,
            trace: KernelTrace::start()?,
            random: Rng::with_seed(3),
            rounds,
            kills: kills.div_ceil(rounds),
        })
    }

    /// Runs conditions; returns their figures, and the distributions for the file.
    pub(super) fn run_all(&mut self, conditions: &[Condition]) -> Result<(Vec<Figure>, Value)> {
        let (mut figures, mut summaries) = (Vec::new(), Vec::new());
        for condition in conditions {
            let has_v1 = condition.watchers.iter().any(|it| it.scene == Scene::V1);
            if has_v1 && target::v1_root().is_none() {
                eprintln!("LEFT OUT: {}: no v1 hierarchy is mounted", condition.name);
                continue;
            }
            let samples = self.run(condition)?;
            figures.extend(condition.limits.iter().map(|it| samples.figure(*it)));
            figures.extend(samples.unreported());
            summaries.extend(samples.summaries());
        }
        Ok((figures, summaries.into()))
    }

    fn run<'c>(&mut self, condition: &'c Condition) -> Result<Samples<'c>> {
        let watchers = &condition.watchers;
        let programs = watchers.iter().map(|it| self.programs.start(it.kind));
        let mut programs = programs.collect::<Result<Vec<_>>>()?;
        let spin = || self.programs.spin();
        let spinning = condition.is_busy.then(spin).transpose()?;
        let rounds = rounds::run(&condition.name, self.rounds, || {
            let mut samples = vec![Vec::with_capacity(self.kills); watchers.len()];
            for _ in 0..self.kills {
                // The first watcher changes, so that each comes after each other one.
                let first = self.random.usize(..watchers.len());
                for turn in 0..watchers.len() {
                    let index = (first + turn) % watchers.len();
                    let watcher = Some((&watchers[index], &mut programs[index]));
                    let sample = self.kill(condition.processes, condition.until_reaped, watcher);
                    samples[index].push(sample?);
                }
            }
            Ok(samples)
        })?;
        drop(spinning);
        Ok(Samples { condition, rounds })
    }

    /// The median time until the kernel calls a cgroup empty, for a round of kills.
    pub(super) fn empty_us(
        &mut self,
        mut watcher: Option<(&Watcher, &mut Program)>,
    ) -> Result<f64> {
        let mut samples = Vec::new();
        for _ in 0..self.kills {
            let reborrowed = watcher.as_mut().map(|it| (it.0, &mut *it.1));
            samples.extend(self.kill(1, false, reborrowed)?.empty_us());
        }
        Ok(percentile(&mut samples, 500))
    }

    /// Kills processes, in front of a watcher or of none.
    fn kill(
        &mut self,
        processes: usize,
        until_reaped: bool,
        watcher: Option<(&Watcher, &mut Program)>,
    ) -> Result<Sample> {
        let scene = watcher.as_ref().map_or(Scene::Rested, |(it, _)| it.scene);
        let mut target = Target::create(scene == Scene::V1)?;
        let populated = Instant::now();
        let keep = if scene == Scene::Removed {
            "remove"
        } else {
            "keep"
        };
        let line = format!("{processes} {keep} {}", target.directory().display());
        let pid = self.spawner.ask(&line)?;
        target.move_to_v1(&pid)?;
        let mut period_ms = 10;
        let watching = match watcher {
            Some((watcher, program)) => {
                period_ms = watcher.kind.period_ms().max(period_ms);
                let directory = target.watched().to_str().context("a path without UTF-8")?;
                let request = watcher.kind.request(until_reaped, directory, &pid);
                let reply = program.ask(&request)?;
                ensure!(reply == "armed", "{} replied {reply:?}", watcher.name);
                Some(program)
            }
            None => None,
        };
        rounds::pause(match scene {
            Scene::Repopulated | Scene::Removed => REPOPULATED.saturating_sub(populated.elapsed()),
            // Kills fall on every phase of what repeats in the watcher.
            _ => RESTED + Duration::from_micros(self.random.u64(..1000 * period_ms)),
        });
        if scene == Scene::Frozen {
            target.freeze()?;
        }
        let kill_ns = target.kill()?;
        if scene == Scene::Frozen {
            target.thaw()?;
        }
        let verdict = watching.map_or(Ok(None), verdict)?;
        let reply = self.spawner.receive()?;
        ensure!(reply == "over", "the spawner replied {reply:?}");
        Ok(Sample {
            kill_ns,
            empty_ns: self.trace.empty_ns(target.id)?,
            verdict,
        })
    }
}

fn verdict(program: &mut Program) -> Result<Option<(u64, String)>> {
    let reply = program.receive()?;
    if reply == "never" {
        return Ok(None);
    }
    let (moment, by) = reply.split_once(' ').context("no moment")?;
    Ok(Some((moment.parse()?, by.to_owned())))
}

impl Sample {
    pub(super) fn verdict_us(&self) -> Option<f64> {
        let (verdict_ns, _) = self.verdict.as_ref()?;
        Some(us_between(self.kill_ns, *verdict_ns))
    }

    /// From the kill to the kernel's own moment.
    #[expect(clippy::unnecessary_wraps, reason = "the other times are optional")]
    fn empty_us(&self) -> Option<f64> {
        Some(us_between(self.kill_ns, self.empty_ns))
    }

    /// From the kernel's own moment to the verdict.
    pub(super) fn after_empty_us(&self) -> Option<f64> {
        let (verdict_ns, _) = self.verdict.as_ref()?;
        Some(us_between(self.empty_ns, *verdict_ns))
    }
}

/// Negative in the reverse order, which the kernel's microseconds can cause.
#[expect(clippy::cast_precision_loss, reason = "differences are small")]
fn us_between(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.wrapping_sub(from_ns).cast_signed() as f64 / 1000.0
}

/// The samples of a condition, by round, then by watcher.
struct Samples<'a> {
    condition: &'a Condition,
    rounds: Vec<Vec<Vec<Sample>>>,
}

impl Samples<'_> {
    fn figure(&self, limit: Limit) -> Figure {
        let Limit { of, percent, .. } = limit;
        let watchers = &self.condition.watchers;
        let name = format!("{}: {}, p{percent}", self.condition.name, limit.name);
        let (most, peer) = match limit.bound {
            Bound::Ratio(most, peer) => (most, peer),
            Bound::Microseconds(most) => {
                let estimate = Estimate::percentile(&self.all(0, of), percent);
                let verdict = percentile(&mut self.all(0, Sample::verdict_us), 500);
                return Figure::new(name, "us", estimate)
                    .at_most(most)
                    .note(format!("kill to verdict, p50 {verdict:.1} us"));
            }
        };
        let at = |samples: &[Sample]| {
            let mut times: Vec<f64> = samples.iter().filter_map(of).collect();
            percentile(&mut times, percent * 10)
        };
        let ratio = rounds::median(&self.rounds, |it| at(&it[0]) / at(&it[peer]));
        let noise = rounds::median(&self.rounds, |it| {
            let (half, other) = it[peer].split_at(it[peer].len() / 2);
            at(half) / at(other)
        });
        let beside = match watchers.len() {
            2 => String::new(),
            _ => format!(", beside {}", watchers[peer].name),
        };
        let [ours, theirs] = [0, peer].map(|it| percentile(&mut self.all(it, of), percent * 10));
        Figure::new(name + &beside, RATIO, ratio)
            .at_most(most)
            .noise(noise)
            .note(format!(
                "{} {ours:.1} us, {} {theirs:.1} us",
                watchers[0].name, watchers[peer].name
            ))
    }

    /// A figure for each watcher that did not report every kill.
    fn unreported(&self) -> Vec<Figure> {
        let figure = |(index, watcher): (usize, &Watcher)| {
            let reported = self.all(index, Sample::verdict_us).len();
            let kills = self.all(index, Sample::empty_us).len();
            let never = kills - reported;
            let share = Estimate::exact(100.0 * to_f64(never) / to_f64(kills));
            let name = format!("{}: {} never reports", self.condition.name, watcher.name);
            let figure = Figure::new(name, "%", share).note(format!("{never} of {kills} kills"));
            (never > 0).then_some(figure)
        };
        let watchers = self.condition.watchers.iter().enumerate();
        watchers.filter_map(figure).collect()
    }

    fn samples(&self, watcher: usize) -> impl Iterator<Item = &Sample> {
        self.rounds.iter().flat_map(move |round| &round[watcher])
    }

    /// A time of all kills in front of a watcher, without unreported ones.
    fn all(&self, watcher: usize, of: fn(&Sample) -> Option<f64>) -> Vec<f64> {
        self.samples(watcher).filter_map(of).collect()
    }

    /// The distributions of the times of each watcher, for the file.
    fn summaries(&self) -> Vec<Value> {
        let summary = |(index, watcher): (usize, &Watcher)| {
            let mut woken_by = BTreeMap::new();
            for (_, by) in self.samples(index).filter_map(|it| it.verdict.as_ref()) {
                *woken_by.entry(by.to_owned()).or_insert(0) += 1;
            }
            json!({
                "cell": self.condition.name,
                "watcher": watcher.name,
                "kills": self.samples(index).count(),
                "woken_by": woken_by,
                "kill_to_verdict_us": quantiles(self.all(index, Sample::verdict_us)),
                "kill_to_empty_us": quantiles(self.all(index, Sample::empty_us)),
                "empty_to_verdict_us": quantiles(self.all(index, Sample::after_empty_us)),
            })
        };
        let watchers = self.condition.watchers.iter().enumerate();
        watchers.map(summary).collect()
    }
}

/// The quantiles of a distribution; `null` without times.
pub(crate) fn quantiles(mut times: Vec<f64>) -> Value {
    let mut at = |per_mille| percentile(&mut times, per_mille);
    let [p50, p90, p95, p99, max] = [500, 900, 950, 990, 1000].map(&mut at);
    json!({ "p50": p50, "p90": p90, "p95": p95, "p99": p99, "max": max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_without_a_verdict_has_no_time_to_the_verdict() {
        let mut sample = Sample {
            kill_ns: 1000,
            empty_ns: 3000,
            verdict: None,
        };
        assert_eq!(sample.verdict_us(), None);
        assert_eq!(sample.empty_us(), Some(2.0));
        sample.verdict = Some((2500, "ring".to_owned()));
        assert_eq!(sample.after_empty_us(), Some(-0.5), "rounded");
    }
}
