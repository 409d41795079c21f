//! How much longer the load takes while somebody traces.
//!
//! Three views of it, because each lies in its own way: the whole time has the
//! turns in it that other processes took, the median iteration has none of what
//! comes now and then (a wake-up, a drain), the p95 only that.

use anyhow::Result;

use super::Bench;
use crate::bench::{
    report::{Figure, RATIO},
    rounds::{self, Sandwich},
    tool::Tool,
    workload::{Ending, Times},
};

const EXITS: usize = 20_000;
const LIMIT: f64 = 1.05;

/// Three without, between them each tracer once.
struct Round {
    probe: Sandwich<Times>,
    exitsnoop: Sandwich<Times>,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let bare = || bench.workload.run(Ending::Exit, EXITS);
    let traced = |tool| {
        let running = bench.tools.start_and_settle(tool)?;
        let times = bench.workload.run(Ending::Exit, EXITS)?;
        running.stop()?;
        anyhow::Ok(times)
    };
    let rounds = rounds::run("slowdown", bench.rounds, |_| {
        let before = bare()?;
        let probe = traced(Tool::Probe)?;
        let between = bare()?;
        let exitsnoop = traced(Tool::Exitsnoop)?;
        let after = bare()?;
        Ok(Round {
            probe: Sandwich {
                before,
                subject: probe,
                after: between,
            },
            exitsnoop: Sandwich {
                before: between,
                subject: exitsnoop,
                after,
            },
        })
    })?;
    Ok(figures(&rounds))
}

/// One way to look at the times of a load.
struct View {
    ours: &'static str,
    theirs: &'static str,
    of: fn(&Times) -> f64,
    limit: Option<f64>,
}

const VIEWS: [View; 3] = [
    View {
        ours: "fork+exit loop, whole time",
        theirs: "exitsnoop: whole time",
        of: Times::mean_ns,
        limit: Some(LIMIT),
    },
    View {
        ours: "fork+exit loop, median iteration",
        theirs: "exitsnoop: median iteration",
        of: |times| times.p50_ns,
        limit: Some(LIMIT),
    },
    View {
        ours: "fork+exit loop, p95 iteration",
        theirs: "exitsnoop: p95 iteration",
        of: |times| times.p95_ns,
        limit: None,
    },
];

fn figures(rounds: &[Round]) -> Vec<Figure> {
    VIEWS
        .iter()
        .flat_map(|view| [ours(view, rounds), theirs(view, rounds)])
        .collect()
}

fn ours(view: &View, rounds: &[Round]) -> Figure {
    let bare = rounds::median(rounds, |round| (view.of)(&round.probe.before)).value;
    let ratio = rounds::median(rounds, |round| round.probe.ratio(view.of));
    let figure = Figure::new(view.ours, RATIO, ratio)
        .noise(rounds::median(rounds, |round| round.probe.noise(view.of)))
        .note(format!("{:.2} us without a tracer", bare / 1000.0));
    match view.limit {
        Some(limit) => figure.at_most(limit),
        None => figure,
    }
}

fn theirs(view: &View, rounds: &[Round]) -> Figure {
    let ratio = rounds::median(rounds, |round| round.exitsnoop.ratio(view.of));
    let noise = rounds::median(rounds, |round| round.exitsnoop.noise(view.of));
    Figure::new(view.theirs, RATIO, ratio).noise(noise)
}
