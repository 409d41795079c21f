//! What `probe trace` costs: the dying task, the machine, the one who waits for
//! it to start.

pub(super) mod in_kernel;
mod slowdown;
mod start;
mod userspace;

use anyhow::{Result, bail};
use serde::Serialize;

use super::{
    machine::Machine,
    report::{Figure, Report},
    rounds,
    stats::Estimate,
    tool::{self, Tools},
    turn::to_f64,
    workload::Workload,
};

/// What the issue that asked for this tool set.
const BINARY_LIMIT_MIB: f64 = 8.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer rounds: shows a factor, proves nothing
    #[arg(long)]
    quick: bool,
}

/// What the parts need.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) tools: Tools,
    pub(super) workload: Workload,
    pub(super) rounds: usize,
}

#[derive(Debug, Serialize)]
struct Details {
    load_cpu: usize,
    programs: Vec<in_kernel::ProgramCost>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let bench = Bench {
        tools: Tools::get()?,
        workload: Workload::build(rounds::load_cpu()?)?,
        rounds: if args.quick {
            rounds::QUICK
        } else {
            rounds::FULL
        },
    };
    let mut machine = Machine::look(&["libbpf-tools"]);
    let (mut figures, programs) = in_kernel::measure(&bench)?;
    figures.extend(slowdown::measure(&bench)?);
    figures.extend(userspace::measure(&bench)?);
    figures.extend(start::measure(&bench)?);
    figures.push(binary(&bench)?);
    machine.finish();
    let details = Details {
        load_cpu: bench.workload.cpu,
        programs,
    };
    let extent = (args.quick, bench.rounds);
    let report = Report::new("trace", extent, machine, figures, details);
    report.print();
    println!("\nwritten to {}", report.write()?.display());
    match report.missed() {
        [] => Ok(()),
        missed => bail!("{} missed: {}", missed.len(), missed.join(", ")),
    }
}

fn binary(bench: &Bench) -> Result<Figure> {
    let size = Estimate::exact(mib(tool::size_bytes(&bench.tools.probe)?));
    Ok(Figure::new("stripped binary", "MiB", size).at_most(BINARY_LIMIT_MIB))
}

pub(super) fn mib(bytes: u64) -> f64 {
    to_f64(bytes) / f64::from(1 << 20)
}
