//! The whole history at once, and the memory that it takes.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{super::programs::Programs, Serving};
use crate::bench::{
    report::Figure,
    rounds,
    stats::{Estimate, to_f64},
    workload::{Ending, Workload},
};

/// What a daemon keeps unless it is told otherwise.
const EXITS: usize = 65_536;
const LIMIT_MS: f64 = 200.0;
const LIMIT_MIB: f64 = 64.0;
/// How each record begins.
const RECORD: &str = "{\"schema\":1,\"type\":\"exit\"";

pub(super) fn measure(
    count: usize,
    programs: &Programs,
    workload: &Workload,
) -> Result<[Figure; 2]> {
    let serving = Serving::start(programs)?;
    workload.run(Ending::Exit, EXITS)?;
    let mut bytes = 0;
    let rounds = rounds::run("history", count, |_| {
        let begun = Instant::now();
        let answer = serving.get("/v1/exits")?;
        let took = begun.elapsed();
        ensure!(answer.is_ok(), "no 200");
        let records = answer.count(RECORD);
        ensure!(records == EXITS, "{records} records, not {EXITS}");
        bytes = answer.bytes();
        Ok(took.as_secs_f64() * 1000.0)
    })?;
    let peak = serving.process().peak_rss_bytes()?;
    let peak = usize::try_from(peak)?;
    Ok([
        Figure::new(
            "GET /v1/exits of 65,536 records",
            "ms",
            Estimate::median(&rounds),
        )
        .at_most(LIMIT_MS)
        .note(format!("{:.1} MiB", mib(bytes))),
        Figure::new("daemon, peak RSS then", "MiB", Estimate::exact(mib(peak))).at_most(LIMIT_MIB),
    ])
}

fn mib(bytes: usize) -> f64 {
    to_f64(bytes) / f64::from(1 << 20)
}
