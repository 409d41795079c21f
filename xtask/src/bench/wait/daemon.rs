//! `cargo xtask bench daemon`: the time to the verdict of an unprivileged client of the
//! daemon, and the cost of the daemon.
//!
//! The kills are those of `cargo xtask bench wait` ([`super::runner`]); the client is
//! `bench_waiter` without privilege, which asks a daemon of the benchmark ([`super::server`]).

use std::{num::NonZero, time::Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    KILLS, conditions, crowd,
    programs::Programs,
    runner::Runner,
    server::{Answer, Server},
};
use crate::bench::{
    machine,
    report::{self, Figure},
    rounds::{self, Extent},
    stats::{Estimate, mib},
    workload::{Ending, Workload},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kills in front of each client, under each condition
    #[arg(long, value_name = "N", default_value = "3000")]
    kills: NonZero<usize>,

    /// Waits that are armed to see what they cost an exit
    #[arg(long, value_name = "N", default_value = "10000")]
    waits: NonZero<usize>,

    /// Only the parts with this in their name: the conditions ("at rest", "frozen",
    /// "populated", "v1", "normal"), crowd, history
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let kills = args.kills.get();
    let extent = Extent::new(kills < KILLS);
    let wants = |part: &str| args.only.as_ref().is_none_or(|only| part.contains(only));
    let mut programs = Programs::build()?;
    let workload = Workload::build()?;
    let machine = machine::facts(&[]);
    let server = Server::start(&programs)?;
    programs.client = Some(server.client(&programs.waiter)?);
    let mut conditions = conditions::of_daemon();
    conditions.retain(|it| wants(&it.name));
    let mut runner = Runner::start(&programs, extent.rounds, kills)?;
    let (mut figures, summaries) = runner.run_all(&conditions)?;
    drop(runner);
    if wants("crowd") {
        let waits = args.waits.get();
        figures.push(crowd::measure(waits, extent.rounds, &server, &workload)?);
    }
    drop(server);
    if wants("history") {
        figures.extend(history(extent.rounds, &programs, &workload)?);
    }
    let details = json!({ "kills": kills, "cells": summaries });
    report::finish("daemon", extent, machine, &figures, &details)
}

/// The number of exits that a daemon keeps by default.
const HISTORY: usize = 65_536;

/// The time to read the whole history, and its memory.
fn history(count: usize, programs: &Programs, workload: &Workload) -> Result<[Figure; 2]> {
    let server = Server::start(programs)?;
    workload.run(Ending::Exit, HISTORY)?;
    let mut bytes = 0;
    let times = rounds::run("history", count, || {
        let begun = Instant::now();
        let answer = Answer::read(server.request("GET", "/v1/exits", "")?)?;
        let took = begun.elapsed();
        ensure!(answer.is_ok(), "the daemon did not answer with 200");
        let records = answer.count_lines("{\"schema\":1,\"type\":\"exit\"");
        ensure!(records == HISTORY, "{records} records, not {HISTORY}");
        bytes = answer.0.len();
        Ok(took.as_secs_f64() * 1000.0)
    })?;
    let peak = Estimate::exact(mib(server.process().peak_rss_bytes()?));
    let name = "GET /v1/exits of 65,536 records";
    Ok([
        Figure::new(name, "ms", Estimate::median(&times))
            .at_most(200.0)
            .note(format!("{:.1} MiB", mib(bytes))),
        Figure::new("daemon, peak RSS then", "MiB", peak).at_most(64.0),
    ])
}
