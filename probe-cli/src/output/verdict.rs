//! The verdict, which is the last line of a wait or a kill.

use std::io::{self, Write};

use probe_daemon::api::{
    Outcome,
    json::{self, MigrantObject, SCHEMA, SurvivorObject, TargetObject, VerdictLine},
};
use probe_user::{
    model::Until,
    unstable::proc::survivors::{Migrant, Survivor},
};

use super::{
    Backend,
    human::{age, printable},
    subject::Subject,
};

/// The result of a wait or a kill.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The verb: `wait` or `kill`.
    pub(crate) verb: &'static str,
    /// The outcome of the whole wait.
    pub(crate) outcome: Outcome,
    /// The wait succeeded, but a cgroup could not be removed.
    pub(crate) removal_failed: bool,
    /// The backends that served, in the order in which they joined.
    pub(crate) backends: Vec<Backend>,
    /// The source that woke the last look; `None` if no wake-up was needed.
    pub(crate) woken_by: Option<&'static str>,
    /// Whether the verdict is exact on this kernel.
    pub(crate) exact: bool,
    /// From the start of the command to the last look.
    pub(crate) elapsed_ns: u64,
    /// The targets, in the order of the command line.
    pub(crate) targets: Vec<TargetResult>,
    /// Number of exits that were reported.
    pub(crate) exits: u64,
    /// Number of exits that were lost.
    pub(crate) lost: u64,
    /// Processes that are still there.
    pub(crate) survivors: Vec<Survivor>,
    /// Processes that moved out of a target and are alive; `None` if they are unknown.
    pub(crate) migrated: Option<Vec<Migrant>>,
}

/// The result for one target.
#[derive(Clone, Debug)]
pub(crate) struct TargetResult {
    /// The name of the target.
    pub(crate) subject: Subject,
    /// The condition.
    pub(crate) until: Until,
    /// The outcome for the target.
    pub(crate) outcome: Outcome,
}

impl Verdict {
    fn backend(&self) -> &'static str {
        self.backends.last().map_or("none", |it| it.as_str())
    }

    fn outcome(&self) -> &'static str {
        if self.removal_failed {
            "not_removed"
        } else {
            self.outcome.as_str()
        }
    }

    /// Writes the verdict as one JSON object.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let until = self.targets.first().map(|first| first.until);
        let until = until.filter(|&until| self.targets.iter().all(|it| it.until == until));
        let line = VerdictLine {
            schema: SCHEMA,
            r#type: self.verb,
            outcome: self.outcome(),
            until: until.map(Until::as_str),
            backend: self.backend(),
            backends: self.backends.iter().map(|it| it.as_str()).collect(),
            woken_by: self.woken_by,
            exact: self.exact,
            elapsed_ns: self.elapsed_ns,
            targets: self.targets.iter().map(TargetObject::from).collect(),
            exits: self.exits,
            lost: self.lost,
            survivors: self.survivors.iter().map(SurvivorObject::from).collect(),
            migrated: self
                .migrated
                .as_ref()
                .map(|them| them.iter().map(MigrantObject::from).collect()),
        };
        json::write(out, &line)
    }

    /// Writes a phrase for each target, then time, exits and backend.
    pub(crate) fn write_human(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for (index, target) in self.targets.iter().enumerate() {
            if index > 0 {
                write!(out, ", ")?;
            }
            target.subject.write_human(out)?;
            write!(out, " {}", target.description())?;
        }
        if self.removal_failed {
            write!(out, ", but not removed")?;
        }
        let exits = self.exits;
        let plural = if exits == 1 { "" } else { "s" };
        let after = age(self.elapsed_ns);
        let backend = self.backend();
        write!(out, " after {after} ({exits} exit{plural}, {backend})")
    }

    /// Writes the processes that moved out of a target and are alive, for people.
    pub(crate) fn write_migrated(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for migrant in self.migrated.iter().flatten() {
            let cgroup = migrant.cgroup.as_deref().unwrap_or("?");
            let comm = printable(&migrant.comm);
            writeln!(out, "  {:>7} {comm} to {}", migrant.pid, printable(cgroup))?;
        }
        Ok(())
    }

    /// Writes the processes that are still there, for people.
    pub(crate) fn write_survivors(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for survivor in &self.survivors {
            let age = survivor.age_ns.map_or_else(|| "-".to_owned(), age);
            let wchan = survivor.wchan.as_deref().unwrap_or("-");
            let reason = survivor.reason.as_deref().unwrap_or("alive");
            writeln!(
                out,
                "  {:>7} {:<15} {} {age:>7} {wchan}: {reason}",
                survivor.pid,
                printable(&survivor.comm),
                survivor.state
            )?;
        }
        Ok(())
    }
}

impl TargetResult {
    fn description(&self) -> String {
        let is = match self.until {
            Until::Exited => "has exited",
            Until::Reaped => "is reaped",
            Until::Empty => "is empty",
            Until::Stopped => "is stopped",
            Until::Removed => "is removed",
        };
        match self.outcome {
            Outcome::Done => is.to_owned(),
            Outcome::Already => match self.until {
                Until::Exited => "had exited already".to_owned(),
                _ => format!("{} already", is.replacen("is", "was", 1)),
            },
            Outcome::Timeout => self.unmet(),
            Outcome::Interrupted => format!("{} at the last check (interrupted)", self.unmet()),
        }
    }

    fn unmet(&self) -> String {
        match self.until {
            Until::Exited => "is still running",
            Until::Reaped => "is not reaped",
            Until::Empty => "is still populated",
            Until::Stopped => "is not stopped",
            Until::Removed => "is still there",
        }
        .to_owned()
    }
}

impl<'a> From<&'a TargetResult> for TargetObject<'a> {
    fn from(target: &'a TargetResult) -> Self {
        Self {
            subject: target.subject.object(),
            until: target.until.as_str(),
            outcome: target.outcome.as_str(),
        }
    }
}
