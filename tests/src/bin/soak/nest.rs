//! A soak in a process of its own, for trials that change what all trials of a process share:
//! the limit of descriptors, or the pid namespace. The main soak sends it the numbers of trials.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Error, Result, ensure};
use probe_user::unstable::wait::{Met, WokenBy};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde::{Deserialize, Serialize};

use crate::{
    mounts, plan,
    spawner::Spawner,
    sys,
    table::WAKERS,
    trial::{Outcome, Soak},
};

/// The nested soaks of a run, each started when it is needed. One trial at a time runs in each.
#[derive(Default)]
pub(crate) struct Nests {
    limits: Mutex<Option<Nest>>,
    pids: Mutex<Option<Nest>>,
}

impl Nests {
    pub(crate) fn run(&self, kind: plan::Nest, seed: u64, index: u64) -> Result<Outcome> {
        let mut nest = self.of(kind);
        let running = match nest.take() {
            Some(running) => running,
            None => Nest::start(kind, seed)?,
        };
        // One that failed is not used again.
        let outcome = nest.insert(running).run(index);
        if outcome.is_err() {
            *nest = None;
        }
        outcome
    }

    pub(crate) fn end(&self) {
        for kind in [plan::Nest::Limits, plan::Nest::Pids] {
            *self.of(kind) = None;
        }
    }

    fn of(&self, kind: plan::Nest) -> MutexGuard<'_, Option<Nest>> {
        let nest = match kind {
            plan::Nest::Limits => &self.limits,
            plan::Nest::Pids => &self.pids,
        };
        nest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running nested soak.
#[derive(Debug)]
struct Nest {
    child: Child,
    /// `None` lets the nested soak end.
    trials: Option<ChildStdin>,
    outcomes: BufReader<ChildStdout>,
}

impl Nest {
    /// Starts the program again, with the same arguments.
    fn start(kind: plan::Nest, seed: u64) -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.args(std::env::args_os().skip(1));
        command.arg(format!("--seed={seed}"));
        command.args(["--nest", kind.name(), "--nest-directory"]);
        command.arg(format!("{}-{}", mounts::own_name(), kind.name()));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("run a nested soak")?;
        Ok(Self {
            trials: Some(child.stdin.take().context("piped")?),
            outcomes: BufReader::new(child.stdout.take().context("piped")?),
            child,
        })
    }

    fn run(&mut self, index: u64) -> Result<Outcome> {
        let mut trials = self.trials.as_ref().context("it has ended")?;
        writeln!(trials, "{index}").context("write to the nested soak")?;
        let mut line = String::new();
        let length = self.outcomes.read_line(&mut line);
        ensure!(
            length.context("read an outcome")? > 0,
            "the nested soak has ended"
        );
        let report: Result<Report, String> = serde_json::from_str(&line)?;
        report.map(Report::into_outcome).map_err(Error::msg)
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        drop(self.trials.take());
        let _reaped = self.child.wait();
    }
}

/// Lets the next child be the first process of a pid namespace, and runs the same program in it.
pub(crate) fn run_in_namespace() -> Result<bool> {
    sys::unshare_pids().context("make a pid namespace")?;
    let mut inner = Command::new("/proc/self/exe");
    inner.args(std::env::args_os().skip(1)).arg("--inside");
    Ok(inner.status().context("run in a pid namespace")?.success())
}

/// Shows the pids of the own namespace in `/proc`.
pub(crate) fn mount_proc() -> Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("make the mounts private")?;
    mount("proc", "/proc", "proc", MountFlags::empty(), None).context("mount /proc")
}

/// Runs trials until the end of stdin.
pub(crate) fn serve(soak: &Soak) -> Result<bool> {
    let mut spawner = Spawner::start()?;
    for line in io::stdin().lines() {
        let index = line.context("read a number")?.parse().context("a number")?;
        let result = soak.run(index, &mut spawner).result;
        if result.is_err() {
            spawner = Spawner::start()?;
        }
        let report = result
            .map(Report::from)
            .map_err(|error| format!("{error:#}"));
        writeln!(io::stdout(), "{}", serde_json::to_string(&report)?).context("write")?;
    }
    drop(spawner);
    ensure!(soak.mounts.remove(), "cannot remove {:?}", soak.mounts);
    Ok(true)
}

/// An [`Outcome`] as a JSON line.
#[derive(Serialize, Deserialize)]
struct Report {
    /// Whether the verdict is exact and came at the first look, and what woke the wait.
    met: Option<(bool, bool, Option<String>)>,
    took: Duration,
    is_refused: bool,
    contradictions: Vec<String>,
    state: Vec<String>,
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        let met = outcome.met.map(|met| {
            let woken_by = met.woken_by.map(|it| it.as_str().to_owned());
            (met.exact, met.already, woken_by)
        });
        Self {
            met,
            took: outcome.took,
            is_refused: outcome.is_refused,
            contradictions: outcome.contradictions,
            state: outcome.state,
        }
    }
}

impl Report {
    fn into_outcome(self) -> Outcome {
        let waker = |name: String| WAKERS.into_iter().find(|it: &WokenBy| it.as_str() == name);
        Outcome {
            met: self.met.map(|(exact, already, woken_by)| Met {
                exact,
                already,
                woken_by: woken_by.and_then(waker),
            }),
            took: self.took,
            is_refused: self.is_refused,
            contradictions: self.contradictions,
            state: self.state,
        }
    }
}

/// Number of descriptors that a nested soak may open.
const SPARE_DESCRIPTORS: u64 = 60;

/// Lowers the hard limit, so that no wait can raise its limit enough for all members.
pub(crate) fn lower_hard_limit() -> Result<()> {
    let limit = Some(limit_with(SPARE_DESCRIPTORS)?);
    set_limit(limit, limit)
}

/// A lowered limit of descriptors. Dropping it restores the limit.
pub(crate) struct Limit;

impl Limit {
    /// Leaves this many descriptors free.
    pub(crate) fn leave(free: u64) -> Result<Self> {
        let hard = getrlimit(Resource::Nofile).maximum;
        let limit = limit_with(free)?;
        set_limit(Some(hard.map_or(limit, |hard| hard.min(limit))), hard)?;
        Ok(Self)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let hard = getrlimit(Resource::Nofile).maximum;
        let _raised = set_limit(hard, hard);
    }
}

fn set_limit(current: Option<u64>, maximum: Option<u64>) -> Result<()> {
    let limit = Rlimit { current, maximum };
    setrlimit(Resource::Nofile, limit).context("set the limit of descriptors")
}

/// The limit that leaves this many descriptors free.
fn limit_with(free: u64) -> Result<u64> {
    let names = fs::read_dir("/proc/self/fd").context("list the descriptors")?;
    let open = names.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let open: BTreeSet<_> = open.collect();
    let mut free_numbers = (0..).filter(|it| !open.contains(it));
    let index = usize::try_from(free)?;
    free_numbers.nth(index).context("no free number")
}
