//! `cargo xtask bench wait`: the time from a kill to the verdict.
//!
//! The library waits in a process of its own (`bench_waiter` of the tests), the peers are C
//! programs ([`programs`]). A [`runner`] kills processes while one watcher after the other
//! waits for them, under the conditions of a table ([`conditions`]). The kernel's own trace
//! records when the cgroup became empty ([`kernel_trace`]).

mod commands;
mod conditions;
mod crowd;
pub(super) mod daemon;
mod idle;
mod kernel_trace;
mod programs;
mod runner;
mod server;
mod target;

use std::{num::NonZero, path::PathBuf, time::Duration};

use anyhow::Result;
use serde_json::json;

use self::{conditions::Scene, runner::Runner};
pub(crate) use self::{
    programs::{Program, Programs},
    runner::{REPOPULATED, RESTED, quantiles},
    server::Server,
    target::Target,
};
use super::{
    machine,
    report::{self, Figure},
    rounds::{self, Extent, Sandwich},
};

/// Kills of a full run.
const KILLS: usize = 3000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of kills that each watcher waits for, under each condition
    #[arg(long, value_name = "N", default_value = "3000")]
    kills: NonZero<usize>,

    /// How long the armed waiters are left alone to see what they cost
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    quiet: NonZero<u64>,

    /// Only the parts with this in their name: presence, whole, quiet, and the
    /// conditions ("1 idle", "100 busy", "frozen", "reaped" ...)
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let kills = args.kills.get();
    let extent = Extent::new(kills < KILLS);
    let wants = |part: &str| args.only.as_ref().is_none_or(|only| part.contains(only));
    let programs = Programs::build()?;
    let machine = machine::facts(&["util-linux"]);
    let mut runner = Runner::start(&programs, extent.rounds, kills)?;
    let mut figures = Vec::new();
    // First, because nothing of probe may be loaded yet.
    if wants("presence") {
        figures.push(presence(&programs, &mut runner)?);
    }
    let mut conditions = conditions::of_wait();
    conditions.retain(|it| wants(&it.name));
    let (compared, summaries) = runner.run_all(&conditions)?;
    figures.extend(compared);
    if wants("whole") {
        figures.extend(commands::measure(extent.rounds, &programs)?);
    }
    if wants("quiet") {
        figures.extend(idle::measure(args.quiet.get(), &programs)?);
    }
    let details = json!({ "kills": kills, "cells": summaries });
    report::finish("wait", extent, machine, &figures, &details)
}

/// The library beside the `bench_waiter` of another version.
pub(super) fn beside(old: PathBuf, rounds: usize, kills: usize) -> Result<Vec<Figure>> {
    let mut programs = Programs::build()?;
    programs.old_waiter = old;
    let mut runner = Runner::start(&programs, rounds, kills)?;
    let (figures, _) = runner.run_all(&conditions::of_before())?;
    Ok(figures)
}

/// How much a wait delays the end of the processes: the time from the kill until the
/// kernel calls the cgroup empty, with a wait and without one.
fn presence(programs: &Programs, runner: &mut Runner) -> Result<Figure> {
    // The load of the programs leaves its traces in the caches for a while.
    let settled_after = Duration::from_millis(500);
    let watcher = conditions::probe(Scene::Rested);
    let rounds = rounds::run("presence", runner.rounds, || {
        let before = runner.empty_us(None)?;
        let mut program = programs.start(watcher.kind)?;
        rounds::pause(settled_after);
        let subject = runner.empty_us(Some((&watcher, &mut program)))?;
        drop(program);
        rounds::pause(settled_after);
        let after = runner.empty_us(None)?;
        Ok(Sandwich {
            before,
            subject,
            after,
        })
    })?;
    let bare = rounds::median(&rounds, |round| round.before).value;
    let figure = Figure::ratio("kill to empty, with a wait", &rounds, |&us| us);
    Ok(figure
        .at_most(1.10)
        .note(format!("p50 {bare:.1} us without a wait")))
}
