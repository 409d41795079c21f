//! Watchers that are compared under the same conditions, kill by kill.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::{
    programs::{Programs, Who},
    stage::{Kill, Question, Scene, Stage, Watcher},
};
use crate::bench::{
    report::{Figure, RATIO},
    rounds,
    stats::{Estimate, percentile},
};

/// The first one is ours; the others are what it is held against.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) name: String,
    pub(super) processes: usize,
    pub(super) is_busy: bool,
    pub(super) question: Question,
    pub(super) contestants: Vec<Contestant>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) who: Who,
    pub(super) scene: Scene,
}

/// What a cell found.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) watchers: Vec<&'static str>,
    /// By round, then by watcher.
    rounds: Vec<Vec<Vec<Kill>>>,
}

/// A quantile, a quantity, and how far the ratio to the peer may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) of: fn(&Kill) -> Option<f64>,
    pub(super) per_mille: usize,
    pub(super) ratio: Option<f64>,
}

/// For the file, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    cell: String,
    watcher: &'static str,
    kills: usize,
    never_told: usize,
    woken_by: BTreeMap<String, usize>,
    kill_to_verdict_us: Quantiles,
    kill_to_flip_us: Quantiles,
    flip_to_verdict_us: Quantiles,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Cell {
    /// So many kills in front of each watcher, in turns.
    pub(super) fn run(
        &self,
        (count, kills): (usize, usize),
        programs: &Programs,
        stage: &mut Stage,
    ) -> Result<Outcome> {
        let mut talkers = Vec::new();
        for contestant in &self.contestants {
            talkers.push(programs.start(contestant.who)?);
        }
        let hogs = if self.is_busy {
            programs.hogs()?
        } else {
            Vec::new()
        };
        let rounds = rounds::run(&self.name, count, |_| {
            let mut found = vec![Vec::with_capacity(kills); talkers.len()];
            for _ in 0..kills {
                // Who comes after whom changes too.
                let first = stage.draw(talkers.len());
                for turn in 0..talkers.len() {
                    let index = (first + turn) % talkers.len();
                    let contestant = self.contestants[index];
                    let watcher = contestant.watcher(&mut talkers[index], self.question);
                    found[index].push(stage.kill(
                        contestant.scene,
                        self.processes,
                        Some(watcher),
                    )?);
                }
            }
            Ok(found)
        })?;
        drop(hogs);
        Ok(Outcome {
            name: self.name.clone(),
            watchers: self.contestants.iter().map(|it| it.name).collect(),
            rounds,
        })
    }
}

impl Contestant {
    pub(super) fn watcher(
        self,
        talker: &mut super::talker::Talker,
        question: Question,
    ) -> Watcher<'_> {
        Watcher {
            talker,
            ask: match self.who {
                Who::Bell(_) | Who::Before | Who::Client(_) => {
                    |question, directory, pid| match question {
                        Question::Empty => format!("empty {directory}"),
                        Question::Reaped => format!("reaped {pid}"),
                    }
                }
                Who::Poll | Who::PollBriefly => |_, directory, _| directory.to_owned(),
                Who::Alive(_) => |_, _, pid| pid.to_owned(),
            },
            question,
            period_ms: match self.who {
                Who::Alive(period_ms) => period_ms,
                _ => 0,
            },
        }
    }
}

impl Outcome {
    /// Ours against one peer.
    pub(super) fn figure(&self, limit: Limit, peer: usize) -> Figure {
        let quantile = |kills: &[Kill]| quantile(kills, limit.of, limit.per_mille);
        let ratios: Vec<f64> = self
            .rounds
            .iter()
            .map(|round| quantile(&round[0]) / quantile(&round[peer]))
            .collect();
        let noise: Vec<f64> = self
            .rounds
            .iter()
            .map(|round| {
                let (half, other) = round[peer].split_at(round[peer].len() / 2);
                quantile(half) / quantile(other)
            })
            .collect();
        let all = |watcher| self.quantile(watcher, limit.of, limit.per_mille);
        let beside = if self.watchers.len() > 2 {
            format!(", beside {}", self.watchers[peer])
        } else {
            String::new()
        };
        let figure = Figure::new(
            format!("{}: {}{beside}", self.name, limit.name),
            RATIO,
            Estimate::median(&ratios),
        )
        .noise(Estimate::median(&noise))
        .note(format!(
            "{} {:.1} us, {} {:.1} us",
            self.watchers[0],
            all(0),
            self.watchers[peer],
            all(peer)
        ));
        match limit.ratio {
            Some(ratio) => figure.at_most(ratio),
            None => figure,
        }
    }

    /// Of all kills.
    fn quantile(&self, watcher: usize, of: fn(&Kill) -> Option<f64>, per_mille: usize) -> f64 {
        percentile(&mut self.sample(watcher, of), per_mille)
    }

    /// Of one watcher, without what it was never told.
    pub(super) fn sample(&self, watcher: usize, of: fn(&Kill) -> Option<f64>) -> Vec<f64> {
        self.kills(watcher).filter_map(of).collect()
    }

    fn kills(&self, watcher: usize) -> impl Iterator<Item = &Kill> {
        self.rounds.iter().flat_map(move |round| &round[watcher])
    }

    /// How many kills a watcher was never told of, and of how many.
    pub(super) fn never_told(&self, watcher: usize) -> (usize, usize) {
        let told = self.kills(watcher).filter_map(Kill::woken_by).count();
        let all = self.kills(watcher).count();
        (all - told, all)
    }

    pub(super) fn summaries(&self) -> Vec<Summary> {
        (0..self.watchers.len())
            .map(|watcher| {
                let mut woken_by = BTreeMap::new();
                for by in self.kills(watcher).filter_map(Kill::woken_by) {
                    *woken_by.entry(by.to_owned()).or_insert(0) += 1;
                }
                let (never_told, kills) = self.never_told(watcher);
                Summary {
                    cell: self.name.clone(),
                    watcher: self.watchers[watcher],
                    kills,
                    never_told,
                    woken_by,
                    kill_to_verdict_us: Quantiles::of(self.sample(watcher, Kill::verdict_us)),
                    kill_to_flip_us: Quantiles::of(self.sample(watcher, Kill::flip_us)),
                    flip_to_verdict_us: Quantiles::of(self.sample(watcher, Kill::told_us)),
                }
            })
            .collect()
    }
}

pub(super) fn quantile(kills: &[Kill], of: fn(&Kill) -> Option<f64>, per_mille: usize) -> f64 {
    let mut sample: Vec<f64> = kills.iter().filter_map(of).collect();
    percentile(&mut sample, per_mille)
}

impl Quantiles {
    /// `None` where nothing was told.
    fn of(mut sample: Vec<f64>) -> Self {
        let mut at = |per_mille| {
            let value = percentile(&mut sample, per_mille);
            (!value.is_nan()).then_some(value)
        };
        Self {
            p50: at(500),
            p90: at(900),
            p95: at(950),
            p99: at(990),
            max: at(1000),
        }
    }
}
