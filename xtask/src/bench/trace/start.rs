//! How long one waits until it traces.

use anyhow::Result;

use super::Bench;
use crate::bench::{
    report::Figure,
    rounds::{self, Sandwich},
    stats::Estimate,
    tool::{self, Tool},
};

const LIMIT_MS: f64 = 60.0;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let rounds = rounds::run("start", bench.rounds, |_| {
        let before = tool::start_nothing()?;
        let running = bench.tools.start(Tool::Probe)?;
        let subject = running.attached_after;
        running.stop()?;
        let after = tool::start_nothing()?;
        Ok(Sandwich {
            before,
            subject,
            after,
        }
        .map(|it| it.as_secs_f64() * 1000.0))
    })?;
    let started: Vec<f64> = rounds.iter().map(|it| it.subject).collect();
    let harness = rounds::median(&rounds, |it| it.before).value;
    Ok(vec![
        Figure::new("from start to attached", "ms", Estimate::median(&started))
            .at_most(LIMIT_MS)
            .noise(rounds::median(&rounds, |it| it.noise(|&ms| ms)))
            .note(format!(
                "of which {harness:.2} ms are the harness's: so long takes `true`"
            )),
        Figure::new("from start to attached, p95", "ms", Estimate::p95(&started)).at_most(LIMIT_MS),
    ])
}
