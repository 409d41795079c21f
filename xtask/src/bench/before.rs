//! This checkout beside another version of it: nothing may have become slower.
//!
//! The other version is a checkout whose release build is there. Both take turns in
//! one run, so whatever else the machine does falls on both.

use std::{num::NonZero, path::PathBuf};

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use super::{
    machine::Machine,
    process,
    report::{Figure, RATIO, Report},
    rounds::{self, Sandwich},
    stats::Estimate,
    tool::{self, Tool, Tools},
    trace::{Bench, in_kernel, mib},
    turn::{Turn, to_f64},
    wait,
    workload::{Ending, Workload},
};

/// Growth of the stripped binary that a change may cause without a reason.
const BINARY_LIMIT: f64 = 1.03;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The other version: a checkout with `cargo build --release -p probe-cli -p
    /// probe-tests` done (probe-user in place of probe-cli in older ones)
    checkout: PathBuf,

    /// Kills in front of each of the two libraries
    #[arg(long, value_name = "N", default_value = "300")]
    kills: NonZero<usize>,
}

#[derive(Debug, Serialize)]
struct Details {
    checkout: PathBuf,
    kills: usize,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let release = args.checkout.join("target/release");
    let mut waiter = release.join("bench_waiter");
    if !waiter.exists() {
        waiter.set_file_name("bell"); // its name until November 2026
    }
    for path in [&release.join("probe"), &waiter] {
        ensure!(path.exists(), "{} is not built", path.display());
    }
    let bench = Bench {
        tools: Tools::beside(release.join("probe"))?,
        workload: Workload::build(rounds::load_cpu()?)?,
        rounds: rounds::FULL,
    };
    let mut machine = Machine::look(&[]);
    let mut figures = vec![binary(&bench)?];
    figures.extend(start(&bench)?);
    figures.extend(cost(&bench)?);
    figures.extend(wait::beside(waiter, args.kills.get())?);
    machine.finish();
    let details = Details {
        checkout: args.checkout.clone(),
        kills: args.kills.get(),
    };
    let report = Report::new("before", (false, bench.rounds), machine, figures, details);
    report.print();
    println!("\nwritten to {}", report.write()?.display());
    match report.missed() {
        [] => Ok(()),
        missed => bail!("{} missed: {}", missed.len(), missed.join(", ")),
    }
}

fn binary(bench: &Bench) -> Result<Figure> {
    let ours = mib(tool::size_bytes(&bench.tools.probe)?);
    let theirs = mib(tool::size_bytes(&bench.tools.before)?);
    Ok(
        Figure::new("stripped binary", RATIO, Estimate::exact(ours / theirs))
            .at_most(BINARY_LIMIT)
            .note(format!("{ours:.2} MiB, before {theirs:.2} MiB")),
    )
}

/// Milliseconds until attached, and CPU time until then.
fn start(bench: &Bench) -> Result<[Figure; 2]> {
    let started = |tool| {
        let running = bench.tools.start(tool)?;
        let cpu_ms = to_f64(running.process().cpu_ns()?) / 1e6;
        let ms = running.attached_after.as_secs_f64() * 1000.0;
        running.stop()?;
        anyhow::Ok((ms, cpu_ms))
    };
    let rounds = rounds::run("start", bench.rounds, |_| between(started))?;
    Ok([
        ratio("from start to attached", &rounds, |it| it.0),
        ratio("CPU time until attached", &rounds, |it| it.1),
    ])
}

/// What an exit costs in the kernel.
fn cost(bench: &Bench) -> Result<[Figure; 1]> {
    let _kept = process::keep_run_times()?;
    let turn = |tool| in_kernel::turn(bench, tool, Ending::Exit);
    let rounds = rounds::run("in-kernel cost", bench.rounds, |_| between(turn))?;
    Ok([ratio("in-kernel cost of an exit", &rounds, Turn::cost_us)])
}

/// Ours between two of the other version.
fn between<T>(of: impl Fn(Tool) -> Result<T>) -> Result<Sandwich<T>> {
    Ok(Sandwich {
        before: of(Tool::Before)?,
        subject: of(Tool::Probe)?,
        after: of(Tool::Before)?,
    })
}

fn ratio<T>(name: &str, rounds: &[Sandwich<T>], of: fn(&T) -> f64) -> Figure {
    let ours = rounds::median(rounds, |it| of(&it.subject)).value;
    Figure::new(name, RATIO, rounds::median(rounds, |it| it.ratio(of)))
        .at_most(1.0)
        .noise(rounds::median(rounds, |it| it.noise(of)))
        .note(format!("{ours:.3} ms or us"))
}
