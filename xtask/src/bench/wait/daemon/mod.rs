//! `cargo xtask bench daemon`: the moment as an unprivileged client of the
//! daemon knows it, and what the daemon costs.
//!
//! The kills are those of `cargo xtask bench wait` ([`super::stage`]); the client
//! is `bench_waiter` as nobody, which asks a daemon of its own ([`serving`]).

mod conditions;
mod crowd;
mod history;
mod serving;

use std::num::NonZero;

use anyhow::{Result, bail};

use self::serving::Serving;
use super::{Details, KILLS, cell::Outcome, draw, programs::Programs, stage::Stage};
use crate::bench::{machine::Machine, report::Report, rounds, workload::Workload};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kills in front of each client, under each condition
    #[arg(long, value_name = "N", default_value = "3000")]
    kills: NonZero<usize>,

    /// Waits that are armed to see what they cost an exit
    #[arg(long, value_name = "N", default_value = "10000")]
    waits: NonZero<usize>,

    /// Only the parts with this in their name: the conditions ("at rest", "frozen",
    /// "populated", "v1", "normal"), crowd, history
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

impl Args {
    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| part.contains(only))
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let kills = args.kills.get();
    let is_quick = kills < KILLS;
    let count = if is_quick {
        rounds::QUICK
    } else {
        rounds::FULL
    };
    let extent = (count, kills.div_ceil(count));
    let mut programs = Programs::build()?;
    let workload = Workload::build(rounds::load_cpu()?)?;
    let mut machine = Machine::look(&[]);
    let mut figures = Vec::new();
    let mut outcomes = Vec::new();
    let serving = Serving::start(&programs)?;
    programs.served_at(serving.client()?);
    {
        let mut stage = Stage::set(&programs)?;
        let wants = |name: &str| args.wants(name);
        let (compared, told) = conditions::measure(extent, &programs, &mut stage, wants)?;
        figures.extend(compared);
        outcomes.extend(told);
    }
    if args.wants("crowd") {
        figures.push(crowd::measure(
            args.waits.get(),
            count,
            &serving,
            &workload,
        )?);
    }
    drop(serving);
    if args.wants("history") {
        figures.extend(history::measure(count, &programs, &workload)?);
    }
    machine.finish();
    let details = Details {
        kills,
        cells: outcomes.iter().flat_map(Outcome::summaries).collect(),
    };
    let report = Report::new("daemon", (is_quick, count), machine, figures, details);
    report.print();
    println!("\nwritten to {}", report.write()?.display());
    println!("and to {}", draw("daemon", &outcomes)?.display());
    match report.missed() {
        [] => Ok(()),
        missed => bail!("{} missed: {}", missed.len(), missed.join(", ")),
    }
}
