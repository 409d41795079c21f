//! One kill, from the birth of those who die to the verdict.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{flips::Flips, pen::Pen, programs::Programs, talker::Talker};
use crate::bench::{rounds, stats::SplitMix64};

/// `cgroup.events` tells at most once in 10 ms, which is 16 ms where a tick is
/// 4 ms: after this a notification is not late any more.
const RESTED: Duration = Duration::from_millis(20);
/// Short of that: the notification of the kill will be late.
const REPOPULATED: Duration = Duration::from_millis(3);

/// What happens around the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// A cgroup at rest.
    Rested,
    /// Frozen before, thawed after.
    Frozen,
    /// Populated 3 ms before.
    Repopulated,
    /// Likewise, and removed by the parent of the dead at once.
    Removed,
    /// A cgroup of v1 at rest, with the same in it.
    V1,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Empty,
    Reaped,
}

/// Moments of `CLOCK_MONOTONIC` in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    begun_ns: u64,
    flip_ns: u64,
    /// With what woke the one who tells; `None`: it was never told.
    verdict: Option<(u64, String)>,
}

/// A watcher and its part.
#[derive(Debug)]
pub(super) struct Watcher<'a> {
    pub(super) talker: &'a mut Talker,
    /// The line that makes it wait, from a directory and a pid.
    pub(super) ask: fn(Question, &str, &str) -> String,
    pub(super) question: Question,
    /// What repeats in it, so that kills fall on each phase.
    pub(super) period_ms: u32,
}

#[derive(Debug)]
pub(super) struct Stage {
    herd: Talker,
    flips: Flips,
    random: SplitMix64,
}

impl Stage {
    pub(super) fn set(programs: &Programs) -> Result<Self> {
        Ok(Self {
            herd: programs.herd()?,
            flips: Flips::trace()?,
            random: SplitMix64(3),
        })
    }

    /// A number below the bound.
    pub(super) fn draw(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    /// Kills so many processes, in front of a watcher or of nobody.
    pub(super) fn kill(
        &mut self,
        scene: Scene,
        processes: usize,
        watcher: Option<Watcher<'_>>,
    ) -> Result<Kill> {
        let mut pen = match scene {
            Scene::V1 => Pen::make_with_v1()?,
            _ => Pen::make()?,
        };
        let populated = Instant::now();
        let pid = self.populate(&pen, processes, scene)?;
        pen.join_v1(&pid)?;
        let period_ms = watcher.as_ref().map_or(0, |it| it.period_ms);
        let talker = watcher.map(|it| it.arm(&pen, &pid)).transpose()?;
        self.rest(scene, populated, period_ms);
        if scene == Scene::Frozen {
            pen.freeze()?;
        }
        let begun_ns = pen.kill()?;
        if scene == Scene::Frozen {
            pen.thaw()?;
        }
        let verdict = talker.map_or(Ok(None), hear_verdict)?;
        let said = self.herd.hear().context("the herd")?;
        ensure!(said == "over", "the herd said {said:?}");
        Ok(Kill {
            begun_ns,
            flip_ns: self.flips.of(pen.id)?,
            verdict,
        })
    }

    fn populate(&mut self, pen: &Pen, processes: usize, scene: Scene) -> Result<String> {
        let then = match scene {
            Scene::Removed => "remove",
            _ => "keep",
        };
        let line = format!("{processes} {then} {}", pen.directory.display());
        self.herd.tell(&line).context("the herd")?;
        self.herd.hear().context("the herd")
    }

    fn rest(&mut self, scene: Scene, populated: Instant, period_ms: u32) {
        match scene {
            Scene::Rested | Scene::Frozen | Scene::V1 => {
                let phase_us = self.draw(1000 * period_ms.max(10) as usize);
                rounds::window(RESTED + Duration::from_micros(phase_us as u64));
            }
            Scene::Repopulated | Scene::Removed => {
                rounds::window(REPOPULATED.saturating_sub(populated.elapsed()));
            }
        }
    }
}

impl<'a> Watcher<'a> {
    fn arm(self, pen: &Pen, pid: &str) -> Result<&'a mut Talker> {
        let directory = pen.asked().to_str().context("a path without UTF-8")?;
        self.talker
            .tell(&(self.ask)(self.question, directory, pid))?;
        let said = self.talker.hear().context("a watcher")?;
        ensure!(said == "armed", "a watcher said {said:?}");
        Ok(self.talker)
    }
}

fn hear_verdict(talker: &mut Talker) -> Result<Option<(u64, String)>> {
    let said = talker.hear().context("a watcher")?;
    if said == "never" {
        return Ok(None);
    }
    let (moment, by) = said.split_once(' ').context("no moment")?;
    Ok(Some((moment.parse()?, by.to_owned())))
}

impl Kill {
    /// From the kill to the verdict.
    pub(super) fn verdict_us(&self) -> Option<f64> {
        let (verdict_ns, _) = self.verdict.as_ref()?;
        Some(us_between(self.begun_ns, *verdict_ns))
    }

    /// From the kill to the kernel's own moment.
    #[expect(clippy::unnecessary_wraps, reason = "asked like the others")]
    pub(super) fn flip_us(&self) -> Option<f64> {
        Some(us_between(self.begun_ns, self.flip_ns))
    }

    /// From the kernel's own moment to the verdict.
    pub(super) fn told_us(&self) -> Option<f64> {
        let (verdict_ns, _) = self.verdict.as_ref()?;
        Some(us_between(self.flip_ns, *verdict_ns))
    }

    pub(super) fn woken_by(&self) -> Option<&str> {
        self.verdict.as_ref().map(|(_, by)| by.as_str())
    }
}

/// Negative if they come the other way round, as the kernel's microseconds may.
#[expect(clippy::cast_precision_loss, reason = "differences are small")]
fn us_between(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.wrapping_sub(from_ns).cast_signed() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_that_nobody_was_told_of_has_no_latency() {
        let kill = Kill {
            begun_ns: 1000,
            flip_ns: 3000,
            verdict: None,
        };
        assert_eq!(kill.verdict_us(), None);
        assert_eq!(kill.flip_us(), Some(2.0));
    }

    #[test]
    fn a_flip_in_microseconds_may_come_after_the_verdict() {
        let kill = Kill {
            begun_ns: 1000,
            flip_ns: 3000,
            verdict: Some((2500, "ring".to_owned())),
        };
        assert_eq!(kill.told_us(), Some(-0.5));
    }
}
