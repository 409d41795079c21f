//! Figures with their limits, as a table for people and as a file for programs.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use fs_err as fs;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    machine,
    rounds::{self, Extent, Sandwich},
    stats::Estimate,
};
use crate::{checkout, table};

/// The version of the file's format.
const SCHEMA: u32 = 2;
pub(crate) const RATIO: &str = "x";

#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    #[serde(flatten)]
    estimate: Estimate,
    limit: Option<f64>,
    /// The ratio when nothing differs.
    noise: Option<Estimate>,
    verdict: Option<&'static str>,
    note: Option<String>,
}

/// A figure that this machine or this binary cannot give.
const NOT_AVAILABLE: &str = "NOT AVAILABLE";

/// The verdicts on a figure with a limit. The second one is not missed, but chance alone
/// could have moved the figure across the limit.
const MET: &str = "met";
const MET_WITHIN_NOISE: &str = "met_within_noise";
const MISSED: &str = "missed";

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, estimate: Estimate) -> Self {
        Self {
            name: name.into(),
            unit,
            estimate,
            limit: None,
            noise: None,
            verdict: None,
            note: None,
        }
    }

    /// A figure that was not measured, and the reason.
    pub(crate) fn not_available(name: impl Into<String>, reason: &str) -> Self {
        let figure = Self::new(name, "", Estimate::exact(f64::NAN));
        Self {
            verdict: Some(NOT_AVAILABLE),
            ..figure.note(format!("{NOT_AVAILABLE}: {reason}"))
        }
    }

    /// The median ratio of the subjects to their baselines.
    pub(crate) fn ratio<T>(
        name: impl Into<String>,
        rounds: &[Sandwich<T>],
        of: impl Fn(&T) -> f64,
    ) -> Self {
        let ratio = rounds::median(rounds, |it| it.ratio(&of));
        Self::new(name, RATIO, ratio).noise(rounds::median(rounds, |it| it.noise(&of)))
    }

    pub(crate) fn at_most(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self.verdict = Some(self.judge(limit));
        self
    }

    pub(crate) fn noise(mut self, noise: Estimate) -> Self {
        self.noise = Some(noise);
        self.verdict = self.limit.map(|limit| self.judge(limit));
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// A limit is missed only if the whole interval is above it.
    fn judge(&self, limit: f64) -> &'static str {
        let Estimate { value, low, high } = self.estimate;
        // Two runs without a tracer differ by as much as this limit allows.
        let is_noisy = limit > 1.0 && self.noise.is_some_and(|noise| noise.high > limit);
        if value.is_nan() || low > limit {
            MISSED
        } else if high > limit || is_noisy && self.unit == RATIO {
            MET_WITHIN_NOISE
        } else {
            MET
        }
    }

    fn cells(&self) -> Vec<String> {
        let interval = |it: &Estimate| format!("{:.3}..{:.3}", it.low, it.high);
        let sampled = Some(&self.estimate).filter(|it| it.high > it.low);
        let limit = self.limit.map(|limit| format!("<= {limit}"));
        vec![
            self.name.clone(),
            if self.estimate.value.is_nan() {
                "-".to_owned()
            } else {
                format!("{:.3} {}", self.estimate.value, self.unit)
            },
            sampled.map_or_else(String::new, interval),
            limit.unwrap_or_default(),
            self.noise.as_ref().map_or_else(String::new, interval),
            self.verdict.unwrap_or_default().to_owned(),
        ]
    }
}

/// Prints the table of a suite and writes its file; fails if a limit is missed. `details`
/// are facts that only this suite has.
pub(crate) fn finish(
    suite: &str,
    extent: Extent,
    mut machine: Value,
    figures: &[Figure],
    details: &impl Serialize,
) -> Result<()> {
    machine["load_after"] = machine::load().into();
    let Extent { is_quick, rounds } = extent;
    println!("{machine:#}");
    println!("{rounds} interleaved rounds each, medians with bootstrap 95 % intervals");
    if is_quick {
        println!("QUICK: fewer rounds than the method needs, not a verdict");
    }
    let head = "FIGURE|VALUE|95 % INTERVAL|LIMIT|A/A NOISE|VERDICT".split('|');
    let mut rows = vec![head.map(str::to_owned).collect()];
    rows.extend(figures.iter().map(Figure::cells));
    println!("\n{}", table::aligned(&rows));
    for figure in figures {
        if let Some(note) = &figure.note {
            println!("{}: {note}", figure.name);
        }
    }
    let is_missed = |it: &&Figure| it.verdict == Some(MISSED);
    let missed = figures.iter().filter(is_missed);
    let missed: Vec<_> = missed.map(|it| it.name.as_str()).collect();
    let file = json!({
        "schema": SCHEMA,
        "suite": suite,
        "quick": is_quick,
        "rounds": rounds,
        "machine": machine,
        "figures": figures,
        "missed": missed,
        "details": details,
    });
    let path = directory()?.join(suite).with_extension("json");
    fs::write(&path, format!("{file:#}\n"))?;
    println!("\nwritten to {}", path.display());
    ensure!(missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}

/// The directory of the reports and of compiled peers.
pub(crate) fn directory() -> Result<PathBuf> {
    let directory = checkout::target().join("bench");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn estimate(low: f64, value: f64, high: f64) -> Estimate {
        Estimate { value, low, high }
    }

    fn verdict(estimate: Estimate) -> Option<&'static str> {
        Figure::new("cost", "us", estimate).at_most(1.0).verdict
    }

    #[test]
    fn only_a_whole_interval_above_the_limit_misses_it() {
        assert_eq!(verdict(estimate(0.8, 0.9, 1.0)), Some(MET));
        let above = verdict(estimate(0.9, 1.1, 1.3));
        assert_eq!(above, Some(MET_WITHIN_NOISE));
        let below = verdict(estimate(0.8, 0.9, 1.1));
        assert_eq!(below, Some(MET_WITHIN_NOISE));
        assert_eq!(verdict(estimate(1.1, 1.2, 1.3)), Some(MISSED));
        let unmeasured = verdict(Estimate::exact(f64::NAN));
        assert_eq!(unmeasured, Some(MISSED));
    }

    #[test]
    fn noise_above_the_limit_makes_the_verdict_uncertain() {
        let figure = Figure::new("loop", RATIO, estimate(0.7, 0.8, 0.9)).at_most(1.05);
        let quiet = figure.noise(estimate(0.99, 1.0, 1.01));
        assert_eq!(quiet.verdict, Some(MET));
        let noisy = quiet.noise(estimate(0.2, 1.0, 2.7));
        assert_eq!(noisy.verdict, Some(MET_WITHIN_NOISE));
    }
}
