//! The daemon's seat: it waits as well, and what it says is one more reason to
//! look.
//!
//! Nothing hangs on it. A daemon that stalls, dies, says goodbye or speaks
//! nonsense leaves its seat, and what serves without it joins.

use std::{future::pending, time::Duration};

use probe_daemon::{
    api::wait as api,
    client::{ClientError, Word},
};
use probe_user::{
    model::{ProcessState, Until},
    unstable::{bpf::load::Plan, wait::Target},
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::output::Backend;

/// A word, or why there will be no more of them.
pub(super) type Heard = Result<Word, ClientError>;

/// Words that are taken at once.
pub(super) const MANY: usize = 256;

/// See the module.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) state: State,
    /// What is waited for, and in which wait of the set.
    pub(super) sought: Vec<(api::Target, usize)>,
    waits: usize,
    pub(super) met: Vec<bool>,
    pub(super) words: Option<mpsc::Receiver<Heard>>,
    /// Its task ends with it.
    pub(super) listener: JoinSet<()>,
    pub(super) fallback: Option<(Plan, Duration)>,
    /// What served when it was left.
    pub(super) bridge: Option<Backend>,
    pub(super) is_named: bool,
    /// Whether it was told when to give up.
    pub(super) has_timeout: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody was asked, or he left.
    #[default]
    Empty,
    Asked,
    Armed,
    /// It said its last word, and that was no goodbye.
    Over,
}

impl Seat {
    /// One more wait.
    pub(super) fn seek(&mut self, target: &Target, until: Until) {
        let cgroups = target.cgroups.iter().map(|(pinned, _)| api::Target {
            cgroup: Some(api::Cgroup {
                hierarchy: pinned.id.hierarchy,
                id: pinned.id.id,
            }),
            until: Some(until),
            ..api::Target::default()
        });
        // Those of a cgroup are told of with it.
        let alone = target.processes.iter().filter(|process| {
            let is_there = || {
                process
                    .state()
                    .is_ok_and(|state| state != ProcessState::Reaped)
            };
            target.cgroups.is_empty() && is_there()
        });
        let processes = alone.map(|process| api::Target {
            process: Some(api::Process {
                pid: process.tgid,
                start_ticks: process.start_ticks(),
            }),
            until: Some(match until {
                Until::Reaped => Until::Reaped,
                _ => Until::Exited,
            }),
            ..api::Target::default()
        });
        let wait = self.waits;
        self.sought
            .extend(cgroups.chain(processes).map(|target| (target, wait)));
        self.waits += 1;
    }

    /// Whether words may come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Asked | State::Armed)
    }

    /// Whether it has not answered yet.
    pub(super) fn is_asked(&self) -> bool {
        self.state == State::Asked
    }

    /// Whether it is what wakes us first.
    pub(super) fn serves(&self) -> bool {
        matches!(self.state, State::Armed | State::Over)
    }

    /// Resolves when it has said something; empty after the last word. Never, if
    /// nobody was asked.
    pub(super) async fn words(&mut self) -> Vec<Heard> {
        let Some(words) = self.words.as_mut().filter(|_| self.state != State::Over) else {
            return pending().await;
        };
        let mut heard = Vec::new();
        words.recv_many(&mut heard, MANY).await;
        heard
    }

    pub(super) fn leave(&mut self) {
        self.state = State::Empty;
        self.words = None;
        self.listener.abort_all();
    }

    /// Whether nothing is left that it must tell of the waits that are `done`.
    pub(super) fn has_told(&self, done: &[bool]) -> bool {
        let mut sought = self.sought.iter().zip(&self.met);
        // Of all of them the verdict tells.
        let is_all = done.iter().all(|&it| it);
        !is_all && sought.all(|((_, wait), &is_met)| is_met || !done[*wait])
    }
}
