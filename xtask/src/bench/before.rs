//! `cargo xtask bench before`: this checkout beside another version, to see that nothing
//! became slower. Both are measured in turn in one run, so that other work of the machine
//! affects both.

use std::{num::NonZero, path::PathBuf};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    machine, process,
    process::KernelCost,
    report::{self, Figure, RATIO},
    rounds::{self, Extent, Sandwich},
    stats::{Estimate, to_f64},
    trace::{kernel_cost, size_mib},
    tracer::Tracer,
    wait,
    workload::{Ending, Workload},
};
use crate::checkout;

/// Growth of the stripped binary that needs no reason.
const BINARY_LIMIT: f64 = 1.03;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The other version: a checkout with `cargo build --release -p probe-cli` and then
    /// `cargo build --release -p probe-tests` done
    checkout: PathBuf,

    /// Kills in front of each of the two libraries
    #[arg(long, value_name = "N", default_value = "300")]
    kills: NonZero<usize>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let release = args.checkout.join("target/release");
    let [old_probe, waiter] = ["probe", "bench_waiter"].map(|it| release.join(it));
    for path in [&old_probe, &waiter] {
        ensure!(path.exists(), "{} is not built", path.display());
    }
    let extent = Extent::new(false);
    let (new, old) = (Tracer::probe()?, Tracer::Probe(old_probe.clone()));
    let workload = Workload::build()?;
    let machine = machine::facts(&[]);
    let [ours, theirs] = [size_mib(&checkout::probe())?, size_mib(&old_probe)?];
    let binary = Figure::new("stripped binary", RATIO, Estimate::exact(ours / theirs));
    let note = format!("{ours:.2} MiB, before {theirs:.2} MiB");
    let mut figures = vec![binary.at_most(BINARY_LIMIT).note(note)];
    // Milliseconds until attached, and CPU time until then.
    let start = |tracer: &Tracer| {
        let running = tracer.start()?;
        let cpu_ms = to_f64(running.process().cpu_ns()?) / 1e6;
        let ms = running.attached_after.as_secs_f64() * 1000.0;
        running.stop()?;
        anyhow::Ok((ms, cpu_ms))
    };
    let rounds = rounds::run("start", extent.rounds, || {
        Sandwich::measure(|| start(&old), || start(&new))
    })?;
    figures.push(ratio("from start to attached", &rounds, |it| it.0));
    figures.push(ratio("CPU time until attached", &rounds, |it| it.1));
    let counted = process::count_run_times()?;
    let cost = |tracer| kernel_cost(tracer, &workload, Ending::Exit);
    let rounds = rounds::run("in-kernel cost", extent.rounds, || {
        Sandwich::measure(|| cost(&old), || cost(&new))
    })?;
    drop(counted);
    figures.push(ratio(
        "in-kernel cost of an exit",
        &rounds,
        KernelCost::us_per_exit,
    ));
    figures.extend(wait::beside(waiter, extent.rounds, args.kills.get())?);
    let details = json!({ "checkout": args.checkout, "kills": args.kills });
    report::finish("before", extent, machine, &figures, &details)
}

fn ratio<T>(name: &str, rounds: &[Sandwich<T>], of: fn(&T) -> f64) -> Figure {
    let ours = rounds::median(rounds, |it| of(&it.subject)).value;
    Figure::ratio(name, rounds, of)
        .at_most(1.0)
        .note(format!("{ours:.3} ms or us"))
}
