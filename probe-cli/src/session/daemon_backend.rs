//! [`DaemonBackend`], the daemon that a session may have: its connection and its messages.

use std::{future::pending, sync::Arc, time::Duration};

use probe_daemon::api::wait as api;
use probe_user::{
    model::{ProcessState, Until},
    unstable::{bpf::load::Plan, clock::initial_tick, wait::Target},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};

use super::messages::Received;
use crate::output::Backend;

/// The largest number of messages that are received at once.
pub(super) const BATCH: usize = 256;

/// The daemon of a session, connected or not.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each fact is independent of the others"
)]
pub(super) struct DaemonBackend {
    pub(super) state: State,
    /// Each target of the request, with the index of its wait in the set.
    pub(super) targets: Vec<(api::Target, usize)>,
    pub(super) waits: usize,
    pub(super) messages: Option<mpsc::Receiver<Received>>,
    /// The task that reads the socket, which ends when this set is dropped.
    pub(super) reader: JoinSet<()>,
    /// Makes the reader ask the daemon for the rest of its messages.
    pub(super) wants_rest: Arc<Notify>,
    pub(super) fallback: Option<(Plan, Duration)>,
    /// The backend that served when the daemon was disconnected.
    pub(super) handed_over_to: Option<Backend>,
    pub(super) is_named: bool,
    /// Whether the daemon knows the exits of no target of some wait.
    pub(super) lacks_exits: bool,
    /// Whether the daemon's verdict was exact: the daemon may know members that this process
    /// has not seen.
    pub(super) is_exact: bool,
    /// Whether a target has processes about which the daemon was not asked: those of a container
    /// without a cgroup of its own.
    pub(super) asks_for_less: bool,
    /// Whether the request to the daemon had a timeout.
    pub(super) has_timeout: bool,
    /// Whether the verdict of the daemon is that the time is over.
    pub(super) has_timed_out: bool,
    /// Whether exits after the end of the daemon's messages were reported as lost.
    pub(super) has_lost_exits: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// No daemon is connected.
    #[default]
    Disconnected,
    Asked,
    Armed,
    /// The daemon has sent its verdict, which is its last message.
    Finished,
}

impl DaemonBackend {
    /// Adds the targets of one more wait to the request.
    pub(super) fn add(&mut self, target: &Target, until: Until) {
        self.asks_for_less |= target.tree.is_some() || target.may_have_others;
        for pinned in &target.cgroups {
            let (hierarchy, id) = (pinned.id.hierarchy, pinned.id.id);
            let cgroup = Some(api::Cgroup { hierarchy, id });
            self.push(until, |it| it.cgroup = cgroup);
        }
        let until = match until {
            Until::Reaped => Until::Reaped,
            _ => Until::Exited,
        };
        for process in &target.processes {
            let exists = || process.state().is_ok_and(|it| it != ProcessState::Reaped);
            // For a target with cgroups, the daemon watches the processes of the cgroups.
            if target.cgroups.is_empty() && exists() {
                // The daemon could take a later process with the pid for one without a start.
                let Some(start_ticks) = process.start_ticks().map(initial_tick) else {
                    continue;
                };
                let pid = process.tgid;
                let process = Some(api::Process { pid, start_ticks });
                self.push(until, |it| it.process = process);
            }
        }
        self.waits += 1;
    }

    fn push(&mut self, until: Until, name: impl FnOnce(&mut api::Target)) {
        let mut target = api::Target {
            until: Some(until),
            ..api::Target::default()
        };
        name(&mut target);
        self.targets.push((target, self.waits));
    }

    /// Whether the daemon may send messages.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Asked | State::Armed)
    }

    /// Whether the daemon has armed the wait.
    pub(super) fn serves(&self) -> bool {
        matches!(self.state, State::Armed | State::Finished)
    }

    /// Whether the daemon reports every exit of the waits.
    pub(super) fn reports_exits(&self) -> bool {
        self.serves() && !self.lacks_exits
    }

    /// Whether the daemon knows the exits of no target of some wait. The cgroups of one container
    /// have the same processes, so the exits of one of them are enough.
    pub(super) fn lacks_exits(&self, armed: &api::Armed) -> bool {
        let mut is_known = vec![false; self.waits];
        for (index, (_, wait)) in (0..).zip(&self.targets) {
            is_known[*wait] |= !armed.without_exits.contains(&index);
        }
        self.targets.iter().any(|(_, wait)| !is_known[*wait])
    }

    /// Receives at least one message, or none at the end of the stream. Never resolves if no
    /// daemon is connected or its stream has ended before.
    pub(super) async fn messages(&mut self) -> Vec<Received> {
        let is_finished = self.state == State::Finished;
        let Some(messages) = self.messages.as_mut().filter(|_| !is_finished) else {
            return pending().await;
        };
        let mut received = Vec::new();
        messages.recv_many(&mut received, BATCH).await;
        received
    }

    /// Asks for the rest of the messages: the exits until now, and the verdict.
    pub(super) fn ask_for_rest(&self) {
        self.wants_rest.notify_one();
    }
}
