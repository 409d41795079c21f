//! `cargo xtask bench command`: the time until a whole command has returned, as a user of
//! the shell sees it.
//!
//! Every command is a process of its own ([`super::contender`]). Those that wait are
//! started and armed before the kill, and the clock runs from the kill until waitpid(2)
//! returns. The rows "cold" and "armed" start the clock before the process is spawned. In
//! each round every command of a group ([`groups`]) runs once, in random order
//! ([`runner`]), and a figure is a percentile of the differences or ratios of the rounds
//! ([`figures`]).

mod figures;
mod groups;
mod runner;

use std::num::NonZero;

use anyhow::Result;
use serde_json::json;

use self::groups::Group;
pub(crate) use self::{groups::Course, runner::Runner};
use super::{
    machine,
    report::{self, Figure},
    rounds::Extent,
    wait::{Programs, Server},
};
use crate::{checkout, setup};

/// Rounds of a full run.
const ROUNDS: usize = 200;
/// Rounds that show a difference by a factor of two.
const QUICK_ROUNDS: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// 20 rounds in place of 200
    #[arg(long)]
    quick: bool,

    /// Number of rounds of each group
    #[arg(long, value_name = "N", conflicts_with = "quick")]
    rounds: Option<NonZero<usize>>,

    /// Only the groups with this in their name: true, "wait --cgroup", "wait PID", kill,
    /// frozen, repopulated, armed, run, daemon
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let default = if args.quick { QUICK_ROUNDS } else { ROUNDS };
    let rounds = args.rounds.map_or(default, NonZero::get);
    let extent = Extent {
        is_quick: rounds < ROUNDS,
        rounds,
    };
    let wants = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    checkout::build_probe()?;
    setup::packages("pidwait");
    let programs = Programs::peers()?;
    let machine = machine::facts(&["dash", "procps", "util-linux"]);
    let mut runner = Runner::start(&programs)?;
    let (mut figures, mut cells) = (Vec::new(), Vec::new());
    let mut measure = |group: Result<Group>, name: &str| -> Result<()> {
        let group = match group {
            Ok(group) => group,
            Err(reason) => {
                eprintln!("NOT AVAILABLE: {name}: {reason:#}");
                figures.push(Figure::not_available(name, &format!("{reason:#}")));
                return Ok(());
            }
        };
        let samples = runner.run(&group, rounds)?;
        figures.extend(figures::of(&group, &samples));
        cells.extend(figures::cells(&group, &samples));
        Ok(())
    };
    for (name, make) in groups::WITHOUT_DAEMON {
        if wants(name) {
            measure(make(name, &programs), name)?;
        }
    }
    if wants(groups::WITH_DAEMON) {
        let server = Server::start(&programs)?;
        let group = groups::with_daemon(&programs, &server);
        measure(Ok(group), groups::WITH_DAEMON)?;
    }
    report::finish(
        "command",
        extent,
        machine,
        &figures,
        &json!({ "cells": cells }),
    )
}
