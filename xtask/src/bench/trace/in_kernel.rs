//! What the kernel half costs the task that exits: the run time that the kernel
//! keeps of each program, over the number of exits.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::Bench;
use crate::bench::{
    process::{self, RunTime},
    report::{Figure, RATIO},
    rounds::{self, Sandwich},
    stats::{self, Estimate},
    tool::Tool,
    turn::{Turn, to_f64},
    workload::Ending,
};

const EXITS: usize = 10_000;
const LIMIT_US: f64 = 1.0;
const LIMIT_OF_EXITSNOOP: f64 = 0.1;

/// The share of one program.
#[derive(Debug, Serialize)]
pub(super) struct ProgramCost {
    tool: &'static str,
    ending: &'static str,
    program: String,
    ns_per_run: Estimate,
    runs_per_exit: f64,
}

pub(super) fn measure(bench: &Bench) -> Result<(Vec<Figure>, Vec<ProgramCost>)> {
    let _kept = process::keep_run_times()?;
    let turn = |tool, ending| turn(bench, tool, ending);
    let rounds = rounds::run("in-kernel cost", bench.rounds, |_| {
        let sandwich = Sandwich {
            before: turn(Tool::Probe, Ending::Exit)?,
            subject: turn(Tool::Exitsnoop, Ending::Exit)?,
            after: turn(Tool::Probe, Ending::Exit)?,
        };
        Ok((sandwich, turn(Tool::Probe, Ending::Kill)?))
    })?;
    let (exits, kills): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let ours: Vec<&Turn> = exits
        .iter()
        .flat_map(|it| [&it.before, &it.after])
        .collect();
    let theirs: Vec<&Turn> = exits.iter().map(|it| &it.subject).collect();
    let kills: Vec<&Turn> = kills.iter().collect();
    let noise = rounds::median(&exits, |it| it.noise(Turn::cost_us));
    let figures = vec![
        Figure::new("in-kernel cost of an exit", "us", cost(&ours))
            .at_most(LIMIT_US)
            .noise(noise)
            .note(format!(
                "run time of all programs of probe trace; {:.1} % of the exits were others'",
                foreign_percent(&ours)
            )),
        Figure::new(
            "the same, of exitsnoop's",
            RATIO,
            rounds::median(&exits, |it| it.ratio(Turn::cost_us).recip()),
        )
        .at_most(LIMIT_OF_EXITSNOOP)
        .noise(noise),
        Figure::new("exitsnoop: in-kernel cost of an exit", "us", cost(&theirs)),
        Figure::new("in-kernel cost of a kill and exit", "us", cost(&kills))
            .note("signal_generate remembers the killer, the exit takes it"),
    ];
    let mut programs = shares("probe trace", "exit", &ours);
    programs.extend(shares("exitsnoop", "exit", &theirs));
    programs.extend(shares("probe trace", "kill", &kills));
    Ok((figures, programs))
}

pub(crate) fn turn(bench: &Bench, tool: Tool, ending: Ending) -> Result<Turn> {
    let running = bench.tools.start_and_settle(tool)?;
    let turn = Turn::of(running.process(), || {
        bench.workload.run(ending, EXITS).map(drop)
    })?;
    running.stop()?;
    ensure!(
        turn.exits() >= EXITS as u64,
        "{tool:?}: the exit program ran {} times for {EXITS} exits",
        turn.exits()
    );
    Ok(turn)
}

/// How many of the exits were not the load's.
fn foreign_percent(turns: &[&Turn]) -> f64 {
    let all = rounds::median(turns, |turn| to_f64(turn.exits())).value;
    (all / stats::to_f64(EXITS) - 1.0) * 100.0
}

fn cost(turns: &[&Turn]) -> Estimate {
    rounds::median(turns, |turn| turn.cost_us())
}

/// What each program that ran has of the whole.
fn shares(tool: &'static str, ending: &'static str, turns: &[&Turn]) -> Vec<ProgramCost> {
    let mut by_program: BTreeMap<&str, Vec<(RunTime, u64)>> = BTreeMap::new();
    for turn in turns {
        for (name, &run_time) in &turn.0 {
            // What ran now and then is not the cost of an exit.
            if run_time.runs >= EXITS as u64 / 2 {
                let entry = by_program.entry(name).or_default();
                entry.push((run_time, turn.exits()));
            }
        }
    }
    by_program
        .into_iter()
        .map(|(program, turns)| ProgramCost {
            tool,
            ending,
            program: program.to_owned(),
            ns_per_run: rounds::median(&turns, |(it, _)| to_f64(it.ns) / to_f64(it.runs)),
            runs_per_exit: rounds::median(&turns, |(it, exits)| to_f64(it.runs) / to_f64(*exits))
                .value,
        })
        .collect()
}
