//! `cargo xtask bench`: the cost of probe, compared with limits and with peers.
//!
//! Every suite has the same method: peers run in the same run, in rounds that alternate
//! without and with probe ([`rounds`]); a figure is the median of paired ratios with an
//! interval ([`stats`]); a table and a file have the machine's facts ([`report`],
//! [`machine`]).

mod before;
mod command;
mod contender;
mod lines;
mod machine;
mod process;
mod report;
mod rounds;
mod stats;
mod trace;
mod tracer;
mod wait;
mod workload;

use anyhow::Result;

pub(crate) use self::{
    command::{Course, Runner},
    contender::{Contender, End, Sign},
    wait::{Program, Programs, Target},
};

/// Measure, and compare the figures with their limits
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, clap::Subcommand)]
enum Suite {
    /// The cost of `probe trace`, beside exitsnoop of libbpf-tools
    Trace(trace::Args),
    /// From the kill to the verdict, beside a bare poll of `cgroup.events`
    Wait(wait::Args),
    /// From the kill to the return of the whole command, beside the commands of a shell
    Command(command::Args),
    /// From the kill to the verdict of an unprivileged client of the daemon, and its cost
    Daemon(wait::daemon::Args),
    /// This checkout beside another version, in one interleaved run
    Before(before::Args),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.suite {
        Suite::Trace(args) => trace::run(args),
        Suite::Wait(args) => wait::run(args),
        Suite::Command(args) => command::run(args),
        Suite::Daemon(args) => wait::daemon::run(args),
        Suite::Before(args) => before::run(args),
    }
}
