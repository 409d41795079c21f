//! The verdict for people, which is the last line of a wait or a kill.

use std::{
    io::{self, Write},
    iter,
};

use probe_daemon::api::{
    Outcome,
    json::{NOT_REMOVED, SubjectObject, TargetObject, VerdictLine},
};
use probe_user::model::Until;

use super::human::{self, age, printable};

/// What happened to the targets that the verdict in JSON does not say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remarks {
    /// For each target whether it existed at the start.
    pub(crate) existed: Vec<bool>,
    /// Whether the command has removed the cgroups of all targets.
    pub(crate) removed: bool,
}

/// Writes a phrase for each target, then time, exits and backend.
pub(crate) fn write(out: &mut Vec<u8>, verdict: &VerdictLine, remarks: &Remarks) -> io::Result<()> {
    let existed = remarks.existed.iter().chain(iter::repeat(&true));
    for (index, (target, &existed)) in verdict.targets.iter().zip(existed).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(out, "{comma}{} ", name(&target.subject))?;
        match (existed, remarks.removed) {
            (false, _) => write!(out, "did not exist")?,
            (true, false) => write!(out, "{}", state(target))?,
            (true, true) if target.subject.cgroup.is_some() => write!(out, "is removed")?,
            (true, true) => write!(out, "{} and its cgroups are removed", state(target))?,
        }
    }
    if verdict.outcome == NOT_REMOVED {
        write!(out, ", but not removed")?;
    }
    write!(out, " after {} (", age(verdict.elapsed_ns))?;
    match (verdict.killed, verdict.exits) {
        (Some(1), None) => write!(out, "killed 1 process, ")?,
        (Some(killed), None) => write!(out, "killed {killed} processes, ")?,
        (None, None) => {}
        (_, Some(1)) => write!(out, "1 exit, ")?,
        (_, Some(exits)) => write!(out, "{exits} exits, ")?,
    }
    match verdict.lost {
        Some(0) => {}
        Some(lost) => write!(out, "{lost} lost, ")?,
        None if verdict.exits.is_some() => write!(out, "others unknown, ")?,
        None => {}
    }
    write!(out, "{})", verdict.backend)
}

/// Returns the name of a target.
pub(crate) fn name(subject: &SubjectObject) -> String {
    if let Some(unit) = &subject.unit {
        return format!("unit {}", printable(unit));
    }
    if let Some(container) = &subject.container {
        let name = container.name.as_ref().or(container.id.as_ref());
        return format!(
            "container {}",
            name.map_or_else(unknown, |name| printable(name))
        );
    }
    let Some(process) = &subject.process else {
        let path = subject.cgroup.as_ref().map(|cgroup| &cgroup.path);
        return path.map_or_else(unknown, |path| printable(path));
    };
    match &process.comm {
        Some(comm) => format!("process {} ({})", process.pid, printable(comm)),
        None => format!("process {}", process.pid),
    }
}

fn unknown() -> String {
    "?".to_owned()
}

fn state(target: &TargetObject) -> String {
    let (met, was_met, unmet) = match target.until {
        Until::Exited => ("has exited", "had exited", "is still running"),
        Until::Reaped => ("is reaped", "was reaped", "is not reaped"),
        Until::Empty => ("is empty", "was empty", "is not empty"),
        Until::Stopped => ("is stopped", "was stopped", "is not stopped"),
        Until::Removed => ("is removed", "was removed", "is not removed"),
    };
    match target.outcome {
        Outcome::Done => met.to_owned(),
        Outcome::Already => format!("{was_met} already"),
        Outcome::Timeout => unmet.to_owned(),
        Outcome::Interrupted => format!("{unmet} at the last check (interrupted)"),
    }
}

/// Returns a line for each process that moved out of a target and is alive.
pub(crate) fn migrated(verdict: &VerdictLine) -> String {
    let lines = verdict.migrated.iter().flatten().map(|it| {
        let cgroup = it.cgroup.as_deref().unwrap_or("?");
        let (pid, comm) = (it.pid, printable(&it.comm));
        format!("\n  {pid:>7} {comm} to {}", printable(cgroup))
    });
    lines.collect()
}

/// Returns a table of the processes that are still in a target, or nothing if there is none.
pub(crate) fn survivors(verdict: &VerdictLine) -> String {
    if verdict.survivors.is_empty() {
        return String::new();
    }
    let lines = human::survivors(&verdict.survivors);
    format!("\n  {}", lines.join("\n  "))
}
