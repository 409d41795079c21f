//! `cargo xtask bench`: what it costs, held against limits and against peers.
//!
//! The method is the same for every suite: peers in the same run, rounds that
//! alternate without and with ([`rounds`]), a load pinned to one CPU
//! ([`workload`]), medians of paired ratios with an interval ([`stats`]), a
//! table and a file with the machine's facts ([`report`], [`machine`]).

mod machine;
mod process;
mod report;
mod rounds;
mod stats;
mod tool;
mod trace;
mod workload;

use anyhow::Result;

/// Measure, and hold the figures against their limits
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, clap::Subcommand)]
enum Suite {
    /// What `probe trace` costs, beside exitsnoop of libbpf-tools
    Trace(trace::Args),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.suite {
        Suite::Trace(args) => trace::run(args),
    }
}
