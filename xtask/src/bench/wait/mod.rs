//! What `probe wait` is for: how long after the kill one knows.
//!
//! The library waits in a process of its own (`bench_waiter` of the tests), the peers
//! are C programs ([`programs`]). A kill is one trial of a [`stage`]; trials in
//! front of different watchers take turns ([`cell`]); the kernel's own trace
//! tells when the cgroup became empty ([`flips`]).

mod cell;
mod cells;
pub(super) mod daemon;
mod flips;
mod pen;
mod presence;
mod programs;
mod quiet;
mod stage;
mod svg;
mod talker;
mod whole;

use std::{fs, num::NonZero, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::{cell::Outcome, programs::Programs, stage::Stage};
use super::{
    machine::Machine,
    report::{self, Figure, Report},
    rounds,
};

/// What the issue that asked for this asks for.
const KILLS: usize = 3000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kills in front of each watcher, under each condition
    #[arg(long, value_name = "N", default_value = "3000")]
    kills: NonZero<usize>,

    /// How long the armed waiters are left alone to see what they cost
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    quiet: NonZero<u64>,

    /// Only the parts with this in their name: presence, whole, quiet, and the
    /// conditions ("1 idle", "100 busy", "frozen", "reaped" ...)
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

impl Args {
    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| part.contains(only))
    }
}

#[derive(Debug, Serialize)]
struct Details {
    kills: usize,
    cells: Vec<cell::Summary>,
}

/// Rounds, and kills in each.
pub(super) type Extent = (usize, usize);

pub(super) fn run(args: &Args) -> Result<()> {
    let kills = args.kills.get();
    let is_quick = kills < KILLS;
    let count = if is_quick {
        rounds::QUICK
    } else {
        rounds::FULL
    };
    let extent = (count, kills.div_ceil(count));
    let programs = Programs::build()?;
    let mut machine = Machine::look(&["util-linux"]);
    let mut stage = Stage::set(&programs)?;
    // First what needs a machine without any of us.
    let mut figures = Vec::new();
    if args.wants("presence") {
        figures.extend(presence::measure(extent, &programs, &mut stage)?);
    }
    let (compared, outcomes) =
        cells::measure(extent, &programs, &mut stage, |name| args.wants(name))?;
    figures.extend(compared);
    if args.wants("whole") {
        figures.extend(whole::measure(count, &programs)?);
    }
    if args.wants("quiet") {
        figures.extend(quiet::measure(args.quiet.get(), &programs)?);
    }
    machine.finish();
    let details = Details {
        kills,
        cells: outcomes.iter().flat_map(Outcome::summaries).collect(),
    };
    let report = Report::new("wait", (is_quick, count), machine, figures, details);
    report.print();
    println!("\nwritten to {}", report.write()?.display());
    println!("and to {}", draw("wait", &outcomes)?.display());
    match report.missed() {
        [] => Ok(()),
        missed => bail!("{} missed: {}", missed.len(), missed.join(", ")),
    }
}

/// The library beside that of another version, whose `bench_waiter` is at `before`.
pub(super) fn beside(before: PathBuf, kills: usize) -> Result<Vec<Figure>> {
    let count = rounds::FULL;
    let programs = Programs::build()?.beside(before);
    let mut stage = Stage::set(&programs)?;
    let extent = (count, kills.div_ceil(count));
    let (figures, _) = cells::run(cells::beside_before(), extent, &programs, &mut stage)?;
    Ok(figures)
}

fn draw(suite: &str, outcomes: &[Outcome]) -> Result<PathBuf> {
    let path = report::directory()?.join(suite).with_extension("svg");
    fs::write(&path, svg::drawing(outcomes))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
