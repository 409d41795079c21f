//! How long one waits until it traces.

use anyhow::Result;

use super::{Bench, to_f64};
use crate::bench::{
    report::Figure,
    rounds::{self, Sandwich},
    stats::Estimate,
    tool::{self, Tool},
};

const LIMIT_MS: f64 = 60.0;

/// One start between two of a program that does nothing.
struct Start {
    ms: Sandwich<f64>,
    cpu_ms: f64,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let rounds = rounds::run("start", bench.rounds, |_| start(bench))?;
    let started: Vec<f64> = rounds.iter().map(|it| it.ms.subject).collect();
    let harness = rounds::median(&rounds, |it| it.ms.before).value;
    Ok(vec![
        Figure::new("from start to attached", "ms", Estimate::median(&started))
            .at_most(LIMIT_MS)
            .noise(rounds::median(&rounds, |it| it.ms.noise(|&ms| ms)))
            .note(format!(
                "of which {harness:.2} ms are the harness's: so long takes `true`"
            )),
        Figure::new("from start to attached, p95", "ms", Estimate::p95(&started)).at_most(LIMIT_MS),
        Figure::new(
            "CPU time until attached",
            "ms",
            rounds::median(&rounds, |it| it.cpu_ms),
        )
        .note("most of it the verifier's; other processes do not lengthen it"),
    ])
}

fn start(bench: &Bench) -> Result<Start> {
    let before = tool::start_nothing()?;
    let running = bench.tools.start(Tool::Probe)?;
    let cpu_ms = to_f64(running.process().cpu_ns()?) / 1e6;
    let subject = running.attached_after;
    running.stop()?;
    let after = tool::start_nothing()?;
    let ms = Sandwich {
        before,
        subject,
        after,
    };
    Ok(Start {
        ms: ms.map(|it| it.as_secs_f64() * 1000.0),
        cpu_ms,
    })
}
