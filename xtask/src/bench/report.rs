//! Figures with their limits, as a table for people and a file for programs.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::{machine::Machine, stats::Estimate};
use crate::checkout;

/// Version of the file.
const SCHEMA: u32 = 1;

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
    missed: Vec<&'static str>,
    /// What only this suite has.
    details: D,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: &'static str,
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
    /// The value lies above the limit, but not the whole interval.
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
    pub(crate) const fn new(name: &'static str, unit: &'static str, estimate: Estimate) -> Self {
        Self {
            name,
            unit,
            estimate,
            limit: None,
            noise: None,
            verdict: None,
            note: None,
        }
    }

    /// It is missed only if the whole interval lies above.
    pub(crate) fn at_most(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        // Not `<=`: what is not a number keeps no limit.
        self.verdict = Some(if self.estimate.value <= limit {
            Verdict::Met
        } else if self.estimate.low <= limit {
            Verdict::MetWithinNoise
        } else {
            Verdict::Missed
        });
        self
    }

    pub(crate) const fn noise(mut self, noise: Estimate) -> Self {
        self.noise = Some(noise);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    fn cells(&self) -> [String; 6] {
        let Estimate { value, low, high } = self.estimate;
        let interval = |estimate: Estimate| format!("{:.3}..{:.3}", estimate.low, estimate.high);
        [
            self.name.to_owned(),
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
        figures: Vec<Figure>,
        details: D,
    ) -> Self {
        let missed = figures
            .iter()
            .filter(|figure| figure.verdict == Some(Verdict::Missed))
            .map(|figure| figure.name)
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
    pub(crate) fn missed(&self) -> &[&'static str] {
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
        let directory = checkout::target().join("bench");
        fs::create_dir_all(&directory).context("make the directory of the reports")?;
        let path = directory.join(self.suite).with_extension("json");
        let mut text = serde_json::to_string_pretty(self).context("write the report")?;
        text.push('\n');
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
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

    fn verdict(low: f64, value: f64, high: f64) -> Option<Verdict> {
        let estimate = Estimate { value, low, high };
        Figure::new("cost", "us", estimate).at_most(1.0).verdict
    }

    #[test]
    fn a_limit_is_missed_only_by_the_whole_interval() {
        assert_eq!(verdict(0.8, 0.9, 1.1), Some(Verdict::Met));
        assert_eq!(verdict(0.9, 1.1, 1.3), Some(Verdict::MetWithinNoise));
        assert_eq!(verdict(1.1, 1.2, 1.3), Some(Verdict::Missed));
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        assert_eq!(verdict(f64::NAN, f64::NAN, f64::NAN), Some(Verdict::Missed));
    }

    #[test]
    fn the_columns_of_the_table_stand_below_each_other() {
        let figures = [
            Figure::new("a", "us", Estimate::exact(1.0)).at_most(2.0),
            Figure::new("longer", "us", Estimate::exact(10.0)).at_most(2.0),
        ];
        let lines = table(&figures);
        let limit = |line: &String| line.find("<=");
        assert!(limit(&lines[1]).is_some());
        assert_eq!(limit(&lines[1]), limit(&lines[2]));
        assert!(lines[2].ends_with("MISSED"), "{}", lines[2]);
    }
}
