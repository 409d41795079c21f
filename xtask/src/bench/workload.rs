//! The load: a program of the tests that makes processes which end, and times
//! each.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{checkout, command};

/// How the load's processes end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// vfork, `_exit(0)`, waitpid.
    Exit,
    /// A sleeping child, SIGKILL, waitpid.
    Kill,
}

/// What the load measured of itself.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Times {
    n: f64,
    ns_total: f64,
    /// Median of an iteration.
    pub(crate) p50_ns: f64,
    /// Tail of an iteration.
    pub(crate) p95_ns: f64,
}

impl Times {
    /// Everything over everything: what a user waits for.
    pub(crate) fn mean_ns(&self) -> f64 {
        self.ns_total / self.n
    }
}

/// The load's program, built, and its CPU.
#[derive(Debug)]
pub(crate) struct Workload {
    program: PathBuf,
    pub(crate) cpu: usize,
}

impl Workload {
    /// Unoptimised: its own code is a thousandth of an iteration, and the
    /// packages that the tests need are built already.
    pub(crate) fn build(cpu: usize) -> Result<Self> {
        command::run(checkout::cargo().args([
            "build",
            "--quiet",
            "--package",
            "probe-tests",
            "--bin",
            "workload",
        ]))?;
        Ok(Self {
            program: checkout::target().join("debug/workload"),
            cpu,
        })
    }

    pub(crate) fn run(&self, ending: Ending, count: usize) -> Result<Times> {
        let ending = match ending {
            Ending::Exit => "exits",
            Ending::Kill => "kills",
        };
        let said = command::stdout(Command::new(&self.program).args([
            ending,
            &count.to_string(),
            "--cpu",
            &self.cpu.to_string(),
        ]))?;
        serde_json::from_str(&said).with_context(|| format!("the workload said {said:?}"))
    }
}
