//! `cargo xtask bench trace`: the cost of `probe trace` for a task that exits, for the
//! machine, and until it traces.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use serde_json::{Value, json};

use super::{
    machine,
    process::{self, KernelCost, RunTime},
    report::{self, Figure, RATIO},
    rounds::{self, Extent, Sandwich},
    stats::{Estimate, mib, to_f64},
    tracer::{self, Running, Tracer},
    workload::{Ending, Times, Workload},
};
use crate::checkout;

/// Limits on the tracer; the names of the figures say what they limit.
const KERNEL_LIMIT_US: f64 = 1.0;
const KERNEL_LIMIT_OF_EXITSNOOP: f64 = 0.1;
const SLOWDOWN_LIMIT: f64 = 1.05;
const CPU_LIMIT_US: f64 = 3.0;
const RSS_LIMIT_MIB: f64 = 20.0;
const START_LIMIT_MS: f64 = 60.0;
const BINARY_LIMIT_MIB: f64 = 8.0;

/// Exits while the run time of the BPF programs is counted.
const COUNTED_EXITS: usize = 10_000;
/// Exits of a load that is timed, or that a tracer reads. The default ring has room for
/// more: a reader that gets no CPU for a moment must not lose records.
const EXITS: usize = 20_000;
/// Long enough for a reader on a timer to have read the last record.
const DRAINED_AFTER: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer rounds: shows a large difference, but not one of a few percent
    #[arg(long)]
    quick: bool,
}

/// The tracers and the load.
struct Bench {
    probe: Tracer,
    exitsnoop: Tracer,
    workload: Workload,
    rounds: usize,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let extent = Extent::new(args.quick);
    let bench = Bench {
        probe: Tracer::probe()?,
        exitsnoop: Tracer::exitsnoop()?,
        workload: Workload::build()?,
        rounds: extent.rounds,
    };
    let machine = machine::facts(&["libbpf-tools"]);
    let (mut figures, programs) = bench.kernel_cost()?;
    figures.extend(bench.slowdown()?);
    figures.extend(bench.userspace()?);
    figures.extend(bench.start()?);
    let binary = Estimate::exact(size_mib(&checkout::probe())?);
    figures.push(Figure::new("stripped binary", "MiB", binary).at_most(BINARY_LIMIT_MIB));
    let details = json!({ "load_cpu": bench.workload.cpu, "programs": programs });
    report::finish("trace", extent, machine, &figures, &details)
}

/// The size of a file.
pub(super) fn size_mib(path: &Path) -> Result<f64> {
    Ok(mib(fs::metadata(path)?.len()))
}

/// The run time of a tracer's BPF programs while processes end.
pub(super) fn kernel_cost(
    tracer: &Tracer,
    workload: &Workload,
    ending: Ending,
) -> Result<KernelCost> {
    let running = tracer.start_and_settle()?;
    let load = || workload.run(ending, COUNTED_EXITS).map(drop);
    let cost = KernelCost::during(running.process(), load)?;
    running.stop()?;
    let exits = cost.exits();
    let least = COUNTED_EXITS as u64;
    ensure!(exits >= least, "{tracer:?} saw {exits} of {least} exits");
    Ok(cost)
}

/// A tracer during a load between two pauses, with CPU time in nanoseconds.
struct Storm {
    cpu_ns: Sandwich<f64>,
    peak_rss_mib: f64,
    stderr: String,
}

/// A measure of the times of a load. The whole time contains the slices of other
/// processes; the median iteration contains nothing that happens now and then, such as a
/// wake-up; the p95 contains only that.
type View = (&'static str, fn(&Times) -> f64, Option<f64>);

const VIEWS: [View; 3] = [
    ("whole time", Times::mean_ns, Some(SLOWDOWN_LIMIT)),
    ("median iteration", |it| it.p50_ns, Some(SLOWDOWN_LIMIT)),
    ("p95 iteration", |it| it.p95_ns, None),
];

impl Bench {
    fn kernel_cost(&self) -> Result<(Vec<Figure>, Value)> {
        let _counted = process::count_run_times()?;
        let cost = |tracer, ending| kernel_cost(tracer, &self.workload, ending);
        let rounds = rounds::run("in-kernel cost", self.rounds, || {
            let probe = || cost(&self.probe, Ending::Exit);
            let exits = Sandwich::measure(probe, || cost(&self.exitsnoop, Ending::Exit))?;
            Ok((exits, cost(&self.probe, Ending::Kill)?))
        })?;
        let (exits, kills): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        let ours = exits.iter().flat_map(|it| [&it.before, &it.after]);
        let ours: Vec<_> = ours.collect();
        let theirs: Vec<_> = exits.iter().map(|it| &it.subject).collect();
        let kills: Vec<_> = kills.iter().collect();
        let us = |costs: &[&KernelCost]| rounds::median(costs, |it| it.us_per_exit());
        let noise = rounds::median(&exits, |it| it.noise(KernelCost::us_per_exit));
        let ratio = rounds::median(&exits, |it| it.ratio(KernelCost::us_per_exit).recip());
        let all = rounds::median(&ours, |it| to_f64(it.exits())).value;
        let foreign = (all / to_f64(COUNTED_EXITS) - 1.0) * 100.0;
        let figures = vec![
            Figure::new("in-kernel cost of an exit", "us", us(&ours))
                .at_most(KERNEL_LIMIT_US)
                .noise(noise)
                .note(format!(
                    "run time of all programs of probe trace; {foreign:.1} % of the exits were \
                     not the load's"
                )),
            Figure::new("the same, of exitsnoop's", RATIO, ratio)
                .at_most(KERNEL_LIMIT_OF_EXITSNOOP)
                .noise(noise),
            Figure::new("exitsnoop: in-kernel cost of an exit", "us", us(&theirs)),
            Figure::new("in-kernel cost of a kill and exit", "us", us(&kills))
                .note("signal_generate stores the sender, and the exit reads it"),
        ];
        let mut programs = shares("probe trace", "exit", &ours);
        programs.extend(shares("exitsnoop", "exit", &theirs));
        programs.extend(shares("probe trace", "kill", &kills));
        Ok((figures, programs.into()))
    }

    /// How much longer the load takes with a tracer.
    fn slowdown(&self) -> Result<Vec<Figure>> {
        let bare = || self.workload.run(Ending::Exit, EXITS);
        let traced = |tracer: &Tracer| {
            let running = tracer.start_and_settle()?;
            let times = bare()?;
            running.stop()?;
            anyhow::Ok(times)
        };
        let rounds = rounds::run("slowdown", self.rounds, || {
            let probe = Sandwich::measure(bare, || traced(&self.probe))?;
            let exitsnoop = Sandwich {
                before: probe.after,
                subject: traced(&self.exitsnoop)?,
                after: bare()?,
            };
            Ok((probe, exitsnoop))
        })?;
        let (ours, theirs): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        let mut figures = Vec::new();
        for (name, of, limit) in VIEWS {
            let bare = rounds::median(&ours, |round| of(&round.before)).value;
            let figure = Figure::ratio(format!("fork+exit loop, {name}"), &ours, of)
                .note(format!("{:.2} us without a tracer", bare / 1000.0));
            figures.push(match limit {
                Some(limit) => figure.at_most(limit),
                None => figure,
            });
            figures.push(Figure::ratio(format!("exitsnoop: {name}"), &theirs, of));
        }
        Ok(figures)
    }

    /// CPU time of the reader for each record, and its memory.
    fn userspace(&self) -> Result<Vec<Figure>> {
        let rounds = rounds::run("userspace cost", self.rounds, || {
            Ok((self.storm(&self.probe)?, self.storm(&self.exitsnoop)?))
        })?;
        let (ours, theirs): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        let lost = ours.iter().map(|it| lost_in(&it.stderr));
        let lost: u64 = lost.sum::<Result<_>>()?;
        let us = |it: &Storm| it.cpu_ns.excess(|&ns| ns) / to_f64(EXITS) / 1000.0;
        let cost = |storms: &[Storm]| rounds::median(storms, us);
        let rss = |storms: &[Storm]| rounds::median(storms, |it| it.peak_rss_mib);
        let idle = rounds::median(&ours, |it| it.cpu_ns.before / 1000.0).value;
        let note = format!(
            "without {idle:.0} us that it takes in {} ms without exits; {lost} of {} records lost",
            DRAINED_AFTER.as_millis(),
            EXITS * ours.len(),
        );
        Ok(vec![
            Figure::new("userspace CPU of a JSON record", "us", cost(&ours))
                .at_most(CPU_LIMIT_US)
                .note(note),
            Figure::new("exitsnoop: userspace CPU of a line", "us", cost(&theirs)),
            Figure::new("peak RSS after a storm", "MiB", rss(&ours)).at_most(RSS_LIMIT_MIB),
            Figure::new("exitsnoop: peak RSS", "MiB", rss(&theirs)),
        ])
    }

    fn storm(&self, tracer: &Tracer) -> Result<Storm> {
        let running = tracer.start_and_settle()?;
        let load = || self.workload.run(Ending::Exit, EXITS).map(drop);
        let cpu_ns = Sandwich::measure(|| cpu_ns(&running, || Ok(())), || cpu_ns(&running, load))?;
        Ok(Storm {
            cpu_ns,
            peak_rss_mib: mib(running.process().peak_rss_bytes()?),
            stderr: running.stop()?,
        })
    }

    /// The time until probe traces, between two starts of a program that does nothing.
    fn start(&self) -> Result<Vec<Figure>> {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let rounds = rounds::run("start", self.rounds, || {
            let mut cpu_ms = 0.0;
            let start = || {
                let running = self.probe.start()?;
                cpu_ms = to_f64(running.process().cpu_ns()?) / 1e6;
                let attached_after = running.attached_after;
                running.stop()?;
                Ok(ms(attached_after))
            };
            let start = Sandwich::measure(|| tracer::start_nothing().map(ms), start)?;
            Ok((start, cpu_ms))
        })?;
        let started: Vec<f64> = rounds.iter().map(|(it, _)| it.subject).collect();
        let harness = rounds::median(&rounds, |(it, _)| it.before).value;
        let p95 = Estimate::percentile(&started, 95);
        let cpu = rounds::median(&rounds, |(_, cpu_ms)| *cpu_ms);
        Ok(vec![
            Figure::new("from start to attached", "ms", Estimate::median(&started))
                .at_most(START_LIMIT_MS)
                .noise(rounds::median(&rounds, |(it, _)| it.noise(|&ms| ms)))
                .note(format!("`true` takes {harness:.2} ms")),
            Figure::new("from start to attached, p95", "ms", p95).at_most(START_LIMIT_MS),
            Figure::new("CPU time until attached", "ms", cpu)
                .note("most of it is the verifier's; other processes do not lengthen it"),
        ])
    }
}

/// The share of each program that ran.
fn shares(tool: &str, ending: &str, costs: &[&KernelCost]) -> Vec<Value> {
    let mut by_program: BTreeMap<&str, Vec<(RunTime, u64)>> = BTreeMap::new();
    for cost in costs {
        for (name, &time) in &cost.0 {
            // A program that ran now and then is no cost of an exit.
            if time.runs >= COUNTED_EXITS as u64 / 2 {
                let runs = by_program.entry(name).or_default();
                runs.push((time, cost.exits()));
            }
        }
    }
    let share = |(program, runs): (&str, Vec<(RunTime, u64)>)| {
        let ns = rounds::median(&runs, |(it, _)| to_f64(it.ns) / to_f64(it.runs));
        let share = rounds::median(&runs, |(it, exits)| to_f64(it.runs) / to_f64(*exits)).value;
        json!({ "tool": tool, "ending": ending, "program": program, "ns_per_run": ns,
            "runs_per_exit": share })
    };
    by_program.into_iter().map(share).collect()
}

/// CPU time that the tracer takes during a load and a while after it.
fn cpu_ns(running: &Running, load: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = running.process().cpu_ns()?;
    load()?;
    rounds::pause(DRAINED_AFTER);
    Ok(to_f64(running.process().cpu_ns()? - before))
}

/// The number of lost records in the last line: `seen N, shown N, lost N in N s`.
fn lost_in(stderr: &str) -> Result<u64> {
    let lost = stderr.split("lost ").nth(1);
    let lost = lost.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    lost.with_context(|| format!("no summary in {stderr:?}"))
}

#[cfg(test)]
mod tests {
    use super::lost_in;

    #[test]
    fn the_summary_has_the_number_of_lost_records() {
        let stderr = "seen 10, shown 9, lost 3 in 0.5 s\n";
        assert_eq!(lost_in(stderr).expect("a number"), 3);
        assert!(lost_in("nothing").is_err());
    }
}
