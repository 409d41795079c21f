//! Explains, while a kill waits, why processes are left, and frees them if the user asked for
//! it.

use std::{collections::BTreeSet, io, time::Duration};

use probe_user::{
    Cause, Phase, Survivor,
    model::Signal,
    unstable::diagnosis::{self, Observer, Thaw},
};
use tokio::time::Instant;

use super::Session;
use crate::output::human::printable;

/// How long a kill waits in silence, and time between two looks for other reasons.
const EXPLAIN_EVERY: Duration = Duration::from_secs(2);
/// How long a healthy process may take to die before it is freed.
const FREE_AFTER: Duration = Duration::from_millis(250);

/// What to explain, and what to free.
pub(crate) struct Explainer {
    /// Whether to print reasons.
    pub(crate) is_talkative: bool,
    /// The signal that was sent, unless it is SIGKILL.
    pub(crate) sent: Option<Signal>,
    /// Thaw frozen cgroups.
    pub(crate) thaws: bool,
    /// Abort FUSE connections that killed processes wait for.
    pub(crate) aborts_fuse: bool,
    /// Prints a message.
    pub(crate) print: Box<dyn Fn(&str)>,
}

/// An explainer, and what it has done.
pub(super) struct Explaining {
    explainer: Explainer,
    next: Instant,
    explained: Option<String>,
    thawed: BTreeSet<String>,
    aborted: BTreeSet<u32>,
}

impl Explaining {
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    fn explain(&mut self, pids: &[u32]) {
        let frees = self.explainer.thaws || self.explainer.aborts_fuse;
        self.next = Instant::now() + if frees { FREE_AFTER } else { EXPLAIN_EVERY };
        let observer = match self.explainer.sent {
            Some(signal) => Observer::new().after(signal),
            None => Observer::new(),
        };
        let survivors = diagnosis::describe(pids, &observer);
        self.free(&survivors);
        if !self.explainer.is_talkative {
            return;
        }
        let Some(summary) = diagnosis::summary(&survivors, None) else {
            return;
        };
        if self.explained.as_ref() == Some(&summary.text) {
            return;
        }
        let hint = summary.hint.map(|it| format!("\nhint: {}", printable(&it)));
        let hint = hint.unwrap_or_default();
        (self.explainer.print)(&format!("waiting: {}{hint}", printable(&summary.text)));
        self.explained = Some(summary.text);
    }

    fn free(&mut self, survivors: &[Survivor]) {
        let reasons = survivors
            .iter()
            .flat_map(|it| it.reason.iter().chain(&it.threads));
        for reason in reasons {
            match &reason.cause {
                Cause::Frozen { cgroups } if self.explainer.thaws => {
                    for frozen in cgroups {
                        self.thaw(frozen);
                    }
                }
                Cause::Fuse {
                    connection: Some(connection),
                    ..
                } if self.explainer.aborts_fuse && reason.phase != Phase::Living => {
                    self.abort_fuse(*connection);
                }
                _ => {}
            }
        }
    }

    fn thaw(&mut self, frozen: &Thaw) {
        if self.thawed.insert(frozen.file.clone()) {
            let what = format!("the cgroup {}", frozen.cgroup);
            self.report("thawed", "thaw", &what, &diagnosis::thaw(frozen));
        }
    }

    fn abort_fuse(&mut self, connection: u32) {
        if self.aborted.insert(connection) {
            let what = format!("the FUSE connection {connection}");
            let aborted = diagnosis::abort_fuse(connection);
            self.report("aborted", "abort", &what, &aborted);
        }
    }

    fn report(&self, done: &str, verb: &str, what: &str, result: &io::Result<()>) {
        let text = match result {
            Ok(()) => format!("{done} {what}"),
            Err(error) => format!("cannot {verb} {what}: {error}"),
        };
        (self.explainer.print)(&printable(&text));
    }
}

impl Session {
    /// From now on explains why processes are left.
    pub(crate) fn explain(&mut self, explainer: Explainer) {
        let frees = explainer.thaws || explainer.aborts_fuse;
        let first = if frees { FREE_AFTER } else { EXPLAIN_EVERY };
        self.explaining = Some(Explaining {
            explainer,
            next: Instant::now() + first,
            explained: None,
            thawed: BTreeSet::new(),
            aborted: BTreeSet::new(),
        });
    }

    /// Explains what is left now.
    pub(super) fn explain_now(&mut self) {
        let unmet = self.set.waits().filter(|(_, met)| met.is_none());
        let pids: Vec<_> = unmet
            .flat_map(|(wait, _)| wait.survivors().unwrap_or_default())
            .collect();
        if let Some(explaining) = &mut self.explaining {
            explaining.explain(&pids);
        }
    }
}
