//! `cargo xtask bench`: what it costs, held against limits and against peers.
//!
//! The method is the same for every suite: peers in the same run, rounds that
//! alternate without and with ([`rounds`]), a load of its own ([`workload`],
//! [`wait`]), medians of paired ratios with an interval ([`stats`]), a
//! table and a file with the machine's facts ([`report`], [`machine`]).

mod before;
mod machine;
mod process;
mod report;
mod rounds;
mod stats;
mod tool;
mod trace;
mod turn;
mod wait;
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
    /// From the kill to the verdict, beside a bare poll of `cgroup.events`
    Wait(wait::Args),
    /// The same at an unprivileged client of the daemon, and what the daemon costs
    Daemon(wait::daemon::Args),
    /// This checkout beside another version, in one interleaved run
    Before(before::Args),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.suite {
        Suite::Trace(args) => trace::run(args),
        Suite::Wait(args) => wait::run(args),
        Suite::Daemon(args) => wait::daemon::run(args),
        Suite::Before(args) => before::run(args),
    }
}
