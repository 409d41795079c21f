//! What the reader costs: CPU time for each record, and memory.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, mib, to_f64};
use crate::bench::{
    report::Figure,
    rounds::{self, Sandwich},
    stats::{self, Estimate},
    tool::{Running, Tool},
    workload::Ending,
};

/// What the default ring holds, with room to spare: a reader that gets no CPU
/// for a moment must not lose what it is measured by.
const EXITS: usize = 20_000;
const CPU_LIMIT_US: f64 = 3.0;
const RSS_LIMIT_MIB: f64 = 20.0;
/// Long enough for a reader on a timer to have fetched the last record.
const DRAINED_AFTER: Duration = Duration::from_millis(200);

/// One tracer through a storm between two calms, with CPU time in nanoseconds.
struct Storm {
    cpu_ns: Sandwich<f64>,
    peak_rss_bytes: u64,
    said: String,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let rounds = rounds::run("userspace cost", bench.rounds, |_| {
        Ok((storm(bench, Tool::Probe)?, storm(bench, Tool::Exitsnoop)?))
    })?;
    let (ours, theirs): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let mut lost = 0;
    for storm in &ours {
        lost += lost_in(&storm.said)?;
    }
    let calm = rounds::median(&ours, |it| it.cpu_ns.before / 1000.0).value;
    Ok(vec![
        Figure::new("userspace CPU of a JSON record", "us", cost(&ours))
            .at_most(CPU_LIMIT_US)
            .note(format!(
                "without {calm:.0} us that it takes in {} ms of calm; {lost} of {} records lost",
                DRAINED_AFTER.as_millis(),
                EXITS * ours.len(),
            )),
        Figure::new("exitsnoop: userspace CPU of a line", "us", cost(&theirs)),
        Figure::new(
            "peak RSS after a storm",
            "MiB",
            rounds::median(&ours, |it| mib(it.peak_rss_bytes)),
        )
        .at_most(RSS_LIMIT_MIB),
        Figure::new(
            "exitsnoop: peak RSS",
            "MiB",
            rounds::median(&theirs, |it| mib(it.peak_rss_bytes)),
        ),
    ])
}

fn cost(storms: &[Storm]) -> Estimate {
    let us = |storm: &Storm| storm.cpu_ns.excess(|&ns| ns) / stats::to_f64(EXITS) / 1000.0;
    rounds::median(storms, us)
}

fn storm(bench: &Bench, tool: Tool) -> Result<Storm> {
    let running = bench.tools.start_and_settle(tool)?;
    let cpu_ns = Sandwich {
        before: cpu_ns(&running, || Ok(()))?,
        subject: cpu_ns(&running, || {
            bench.workload.run(Ending::Exit, EXITS).map(drop)
        })?,
        after: cpu_ns(&running, || Ok(()))?,
    };
    Ok(Storm {
        cpu_ns,
        peak_rss_bytes: running.process().peak_rss_bytes()?,
        said: running.stop()?,
    })
}

/// CPU time that the tracer takes while something happens and a while after.
fn cpu_ns(running: &Running, happens: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = running.process().cpu_ns()?;
    happens()?;
    rounds::window(DRAINED_AFTER);
    Ok(to_f64(running.process().cpu_ns()? - before))
}

/// From the last line: `seen N, shown N, lost N in N s`.
fn lost_in(said: &str) -> Result<u64> {
    said.split("lost ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("no summary in {said:?}"))
}

#[cfg(test)]
mod tests {
    use super::lost_in;

    #[test]
    fn the_loss_is_read_from_the_summary() {
        let said = "seen 10, shown 9, lost 3 in 0.5 s\n";
        assert_eq!(lost_in(said).expect("a number"), 3);
        assert!(lost_in("nothing").is_err());
    }
}
