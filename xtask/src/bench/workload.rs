//! The load: a program of the tests that makes processes which exit, and times each.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::rounds;
use crate::{checkout, command};

/// How the processes of the load exit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// vfork, `_exit(0)`, waitpid.
    Exit,
    /// A sleeping child, SIGKILL, waitpid.
    Kill,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Times {
    n: f64,
    ns_total: f64,
    pub(crate) p50_ns: f64,
    pub(crate) p95_ns: f64,
}

impl Times {
    /// The whole time by the number of iterations.
    pub(crate) fn mean_ns(&self) -> f64 {
        self.ns_total / self.n
    }
}

pub(crate) struct Workload {
    program: PathBuf,
    pub(crate) cpu: usize,
}

impl Workload {
    /// Builds the program unoptimised: its own code is a thousandth of an iteration, and
    /// the packages that the tests need are built already.
    pub(crate) fn build() -> Result<Self> {
        let mut cargo = checkout::cargo("build --quiet --package probe-tests --bin workload");
        command::run(&mut cargo)?;
        Ok(Self {
            program: checkout::target().join("debug/workload"),
            cpu: rounds::load_cpu()?,
        })
    }

    pub(crate) fn run(&self, ending: Ending, count: usize) -> Result<Times> {
        let ending = match ending {
            Ending::Exit => "exits",
            Ending::Kill => "kills",
        };
        let (count, cpu) = (count.to_string(), self.cpu.to_string());
        let mut command = Command::new(&self.program);
        let output = command::stdout(command.args([ending, &count, "--cpu", &cpu]))?;
        serde_json::from_str(&output).with_context(|| format!("output of the load: {output:?}"))
    }
}
