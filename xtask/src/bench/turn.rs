//! What the programs of a process cost in the kernel while a load runs.
//!
//! Other processes exit meanwhile, and the programs run for them too; so the
//! exits are counted as runs of the program that is attached to them.

use std::collections::BTreeMap;

use anyhow::Result;

use super::process::{self, Process, RunTime};

/// How the names of the programs at the exit begin, ours and exitsnoop's; the
/// kernel keeps 15 bytes of a name.
const AT_EXIT: [&str; 2] = ["exit_", "sched_process_e"];

/// What each did in one turn, by name.
#[derive(Debug)]
pub(crate) struct Turn(pub(crate) BTreeMap<String, RunTime>);

impl Turn {
    /// The kernel must keep run times: [`process::keep_run_times`].
    pub(crate) fn of(process: Process, load: impl FnOnce() -> Result<()>) -> Result<Self> {
        let names = process::program_names();
        let before = process.run_times()?;
        load()?;
        let mut turn = BTreeMap::new();
        for (id, now) in process.run_times()? {
            let then = before.get(&id).copied().unwrap_or_default();
            let name = names.get(&id).cloned();
            let sum: &mut RunTime = turn
                .entry(name.unwrap_or_else(|| id.to_string()))
                .or_default();
            sum.ns += now.ns - then.ns;
            sum.runs += now.runs - then.runs;
        }
        Ok(Self(turn))
    }

    /// Runs of the program at the exit.
    pub(crate) fn exits(&self) -> u64 {
        let at_exit = self
            .0
            .iter()
            .filter(|(name, _)| AT_EXIT.iter().any(|start| name.starts_with(start)));
        at_exit.map(|(_, it)| it.runs).sum()
    }

    /// Of all programs, for one exit.
    pub(crate) fn cost_us(&self) -> f64 {
        let ns = self.0.values().map(|it| it.ns).sum();
        to_f64(ns) / to_f64(self.exits()) / 1000.0
    }
}

/// Everything measured here stays far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(crate) const fn to_f64(count: u64) -> f64 {
    count as f64
}
