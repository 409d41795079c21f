//! Figures with their limits, as a table for people and a file for programs.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::{machine::Machine, stats::Estimate};
use crate::checkout;

/// Version of the file.
const SCHEMA: u32 = 1;
/// The unit of what is measured in units of something else.
pub(crate) const RATIO: &str = "x";

/// Everything that a suite found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report<D> {
    schema: u32,
    suite: &'static str,
    /// Fewer rounds than the method asks for.
    quick: bool,
    rounds: usize,
    machine: Machine,
    figures: Vec<Figure>,
    missed: Vec<String>,
    /// What only this suite has.
    details: D,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    #[serde(flatten)]
    estimate: Estimate,
    limit: Option<f64>,
    /// What the ratio is when nothing differs.
    noise: Option<Estimate>,
    verdict: Option<Verdict>,
    note: Option<String>,
}

/// Whether a figure keeps its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Met,
    /// Not missed, but chance alone could have moved it across the limit.
    MetWithinNoise,
    Missed,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::MetWithinNoise => "met (within noise)",
            Self::Missed => "MISSED",
        }
    }
}

impl Figure {
    /// A figure without a limit.
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

    pub(crate) fn at_most(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn noise(mut self, noise: Estimate) -> Self {
        self.noise = Some(noise);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// A limit is missed only if the whole interval lies above it.
    fn judge(&self) -> Option<Verdict> {
        let limit = self.limit?;
        let Estimate { value, low, high } = self.estimate;
        // A slowdown that two turns without a tracer show as well.
        let is_lost_in_noise = limit > 1.0 && self.noise.is_some_and(|noise| noise.high > limit);
        Some(if value.is_nan() || low > limit {
            Verdict::Missed
        } else if high > limit || is_lost_in_noise && self.unit == RATIO {
            Verdict::MetWithinNoise
        } else {
            Verdict::Met
        })
    }

    fn cells(&self) -> [String; 6] {
        let Estimate { value, low, high } = self.estimate;
        let interval = |estimate: Estimate| format!("{:.3}..{:.3}", estimate.low, estimate.high);
        [
            self.name.clone(),
            format!("{value:.3} {}", self.unit),
            if high > low {
                interval(self.estimate)
            } else {
                String::new()
            },
            self.limit
                .map_or_else(String::new, |limit| format!("<= {limit}")),
            self.noise.map_or_else(String::new, interval),
            self.verdict
                .map_or("", |verdict| verdict.as_str())
                .to_owned(),
        ]
    }
}

impl<D: Serialize> Report<D> {
    pub(crate) fn new(
        suite: &'static str,
        (quick, rounds): (bool, usize),
        machine: Machine,
        mut figures: Vec<Figure>,
        details: D,
    ) -> Self {
        for figure in &mut figures {
            figure.verdict = figure.judge();
        }
        let missed = figures
            .iter()
            .filter(|figure| figure.verdict == Some(Verdict::Missed))
            .map(|figure| figure.name.clone())
            .collect();
        Self {
            schema: SCHEMA,
            suite,
            quick,
            rounds,
            machine,
            figures,
            missed,
            details,
        }
    }

    /// The names of the limits that are missed.
    pub(crate) fn missed(&self) -> &[String] {
        &self.missed
    }

    pub(crate) fn print(&self) {
        for line in self.machine.lines() {
            println!("{line}");
        }
        println!(
            "{} interleaved rounds each, medians with bootstrap 95 % intervals{}\n",
            self.rounds,
            if self.quick {
                "; QUICK: fewer rounds than the method asks for, not a verdict"
            } else {
                ""
            }
        );
        for line in table(&self.figures) {
            println!("{line}");
        }
        println!();
        for figure in &self.figures {
            if let Some(note) = &figure.note {
                println!("{}: {note}", figure.name);
            }
        }
    }

    /// Writes the file; where.
    pub(crate) fn write(&self) -> Result<PathBuf> {
        let path = directory()?.join(self.suite).with_extension("json");
        let mut text = serde_json::to_string_pretty(self).context("write the report")?;
        text.push('\n');
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// Where the reports are.
pub(crate) fn directory() -> Result<PathBuf> {
    let directory = checkout::target().join("bench");
    fs::create_dir_all(&directory).context("make the directory of the reports")?;
    Ok(directory)
}

fn table(figures: &[Figure]) -> Vec<String> {
    let head = [
        "FIGURE",
        "VALUE",
        "95 % INTERVAL",
        "LIMIT",
        "A/A NOISE",
        "VERDICT",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(figures.iter().map(Figure::cells));
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            line.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn estimate(low: f64, value: f64, high: f64) -> Estimate {
        Estimate { value, low, high }
    }

    fn verdict(estimate: Estimate) -> Option<Verdict> {
        Figure::new("cost", "us", estimate).at_most(1.0).judge()
    }

    #[test]
    fn a_limit_is_missed_only_by_the_whole_interval() {
        assert_eq!(verdict(estimate(0.8, 0.9, 1.0)), Some(Verdict::Met));
        let above = verdict(estimate(0.9, 1.1, 1.3));
        assert_eq!(above, Some(Verdict::MetWithinNoise));
        let below = verdict(estimate(0.8, 0.9, 1.1));
        assert_eq!(below, Some(Verdict::MetWithinNoise));
        assert_eq!(verdict(estimate(1.1, 1.2, 1.3)), Some(Verdict::Missed));
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        let nothing = Estimate::exact(f64::NAN);
        assert_eq!(verdict(nothing), Some(Verdict::Missed));
    }

    #[test]
    fn a_slowdown_that_nothing_causes_as_well_is_no_clear_verdict() {
        let figure = |noise| {
            Figure::new("loop", RATIO, estimate(0.7, 0.8, 0.9))
                .at_most(1.05)
                .noise(noise)
                .judge()
        };
        let quiet = figure(estimate(0.99, 1.0, 1.01));
        assert_eq!(quiet, Some(Verdict::Met));
        let noisy = figure(estimate(0.2, 1.0, 2.7));
        assert_eq!(noisy, Some(Verdict::MetWithinNoise));
    }

    #[test]
    fn a_figure_without_a_limit_is_not_judged() {
        let figure = Figure::new("peer", "us", Estimate::exact(1.0));
        assert_eq!(figure.judge(), None);
    }

    #[test]
    fn the_columns_of_the_table_stand_below_each_other() {
        let mut figures = [
            Figure::new("a", "us", Estimate::exact(1.0)).at_most(2.0),
            Figure::new("longer", "us", Estimate::exact(10.0)).at_most(2.0),
        ];
        for figure in &mut figures {
            figure.verdict = figure.judge();
        }
        let lines = table(&figures);
        let limit = |line: &String| line.find("<=");
        assert!(limit(&lines[1]).is_some());
        assert_eq!(limit(&lines[1]), limit(&lines[2]));
        assert!(lines[2].ends_with("MISSED"), "{}", lines[2]);
    }
}
