//! The end of `wait` and `kill`: the verdict, and what is still there.

use std::{io, mem};

use probe_daemon::api::{
    Outcome,
    json::{self, NOT_REMOVED, SCHEMA, TargetObject, VerdictLine},
    quantity::nanoseconds,
};
use probe_user::{
    model::Until,
    unstable::diagnosis::{self, Observer},
};

use super::{Failure, invocation::Invocation};
use crate::{
    output::{
        human::printable,
        ignore_closed,
        verdict::{self, Remarks},
    },
    session::SessionResult,
};

impl Invocation {
    /// Prints the verdict, then the processes that moved out or are still there.
    pub(super) fn conclude(&self, mut result: SessionResult, end: End) -> Result<(), Failure> {
        let verdict = self.verdict(&result, end)?;
        let written = result.out.line(|line| {
            if self.json {
                json::write(line, &verdict)
            } else {
                verdict::write(line, &verdict, &self.remarks(end))
            }
        });
        ignore_closed(written.and_then(|()| result.out.flush()))?;
        self.print_summary(&verdict);
        for (title, list) in [
            (
                "moved out of the target and still alive:",
                verdict::migrated(&verdict),
            ),
            ("still there:", verdict::survivors(&verdict)),
        ] {
            if !list.is_empty() {
                self.messages.print(&format!("{title}{list}"));
            }
        }
        if !end.is_met() {
            self.print_frozen(&result)?;
            if verdict.survivors.is_empty() {
                self.print_obstacles(&result);
            }
        }
        // An engine or systemd removes its own cgroups.
        let is_named = self
            .targets
            .iter()
            .any(|(it, ..)| it.container.is_none() && it.unit.is_none());
        for path in self.kills_clones.borrow().iter().filter(|_| is_named) {
            self.messages.print(&format!(
                "{} is left: this kernel kills a process that is started in it with \
                 CLONE_INTO_CGROUP\n\
                 hint: remove it, as --rm does, and make a new one",
                path.display()
            ));
        }
        end_soon(result);
        Ok(())
    }

    fn remarks(&self, end: End) -> Remarks {
        Remarks {
            existed: self.targets.iter().map(|&(.., exists)| exists).collect(),
            removed: self.removes.get() && end.is_complete(),
        }
    }

    fn observer(&self) -> Observer {
        let observer = Observer::measuring();
        match self.sent.get() {
            Some(signal) => observer.after(signal),
            None => observer,
        }
    }

    /// Prints what is left, why, and what would free it.
    fn print_summary(&self, verdict: &VerdictLine) {
        let left = verdict.survivors.len() as u64;
        let exited = verdict.exits.map(|exits| exits + left);
        let all = exited.max(verdict.killed);
        if let Some(summary) = diagnosis::summary(&verdict.survivors, all) {
            let hint = summary.hint.map(|it| format!("\nhint: {}", printable(&it)));
            let text = printable(&summary.text);
            self.messages
                .print(&format!("{text}{}", hint.unwrap_or_default()));
        }
    }

    /// Prints what keeps cgroups without processes from being removed.
    fn print_obstacles(&self, result: &SessionResult) {
        let observer = Observer::new();
        for (wait, _) in result.set.waits().filter(|(_, met)| met.is_none()) {
            for path in wait.cgroup_paths() {
                let Some((mount, _)) = self.mounts.of_path(path) else {
                    continue;
                };
                for obstacle in diagnosis::obstacles(mount, path, &observer) {
                    let (text, hint) = (obstacle.text(), obstacle.hint());
                    self.messages
                        .print(&printable(&format!("{text}; hint: {hint}")));
                }
            }
        }
    }

    /// Prints the frozen cgroups of containers that are not stopped.
    fn print_frozen(&self, result: &SessionResult) -> io::Result<()> {
        for (wait, met) in result.set.waits() {
            if met.is_some() || wait.until() != Until::Stopped {
                continue;
            }
            for cgroup in wait.frozen_cgroups()? {
                self.messages.print(&format!(
                    "{} is frozen: the runtime does not delete a paused container\n\
                     hint: thaw it: {}",
                    cgroup.path().display(),
                    cgroup.thaw_command()
                ));
            }
        }
        Ok(())
    }

    fn verdict(&self, result: &SessionResult, end: End) -> io::Result<VerdictLine> {
        let mut waits = result.set.waits();
        let (mut targets, mut survivors, mut migrated) = (Vec::new(), Vec::new(), Vec::new());
        let mut exact = true;
        for (subject, until, exists) in &self.targets {
            let mut outcome = Outcome::Already;
            if let Some((wait, met)) = exists.then(|| waits.next()).flatten() {
                if let Some(met) = met {
                    exact &= met.exact || result.daemon_is_exact;
                    migrated.extend(wait.migrants());
                }
                if end.removal_failed || (met.is_none() && !end.is_met()) {
                    survivors.extend(wait.survivors()?);
                }
                outcome = match met {
                    Some(met) if met.already => Outcome::Already,
                    Some(_) => Outcome::Done,
                    // Enough other targets are done.
                    None if end.is_met() => Outcome::Timeout,
                    None => end.outcome,
                };
            }
            targets.push(TargetObject {
                subject: subject.clone(),
                until: *until,
                outcome,
            });
        }
        let until = targets.first().map(|first| first.until);
        let backends: Vec<_> = result.backends.iter().map(|it| it.as_str()).collect();
        let lost = result.reported.lost.known();
        // Without a count of the lost ones, none that was shown does not mean that none was.
        let exits = Some(result.reported.shown).filter(|&shown| shown > 0 || lost.is_some());
        let took = self.took.get().unwrap_or_else(|| self.begun.elapsed());
        Ok(VerdictLine {
            schema: SCHEMA,
            r#type: self.verb,
            outcome: if end.removal_failed {
                NOT_REMOVED
            } else {
                end.outcome.as_str()
            },
            until: until.filter(|&until| targets.iter().all(|it| it.until == until)),
            backend: backends.last().copied().unwrap_or("none"),
            backends,
            woken_by: result.woken_by.filter(|_| end.is_met()),
            exact,
            elapsed_ns: nanoseconds(took),
            targets,
            exits,
            lost,
            killed: self.killed.get(),
            survivors: diagnosis::describe(&survivors, &self.observer()),
            migrated: (result.sees_moves() || !migrated.is_empty()).then_some(migrated),
            kills_clones: (self.verb == "kill").then(|| {
                let paths = self.kills_clones.borrow();
                let paths = paths.iter().map(|it| it.display().to_string());
                paths.collect()
            }),
        })
    }
}

/// Prepares the end of the process, for which the next command of a shell waits: the kernel closes
/// slow descriptors afterwards, and nothing is dropped that the end frees anyway.
fn end_soon(result: SessionResult) {
    if !result.closes_after_exit {
        probe_user::close_after_exit();
    }
    mem::forget(result);
}

/// The outcome of the wait, and of the removal that may follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// The wait succeeded, but a cgroup could not be removed.
    pub(super) removal_failed: bool,
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            removal_failed: false,
        }
    }
}

impl End {
    /// Whether the wait succeeded.
    fn is_met(self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Already)
    }

    /// Whether the wait succeeded and every cgroup was removed.
    pub(super) fn is_complete(self) -> bool {
        self.is_met() && !self.removal_failed
    }
}
