//! A daemon as a source of wake-ups: it watches the same targets, and each of its
//! messages is one more reason to look.
//!
//! No verdict rests on it. A daemon that stalls, dies, says goodbye or sends
//! nonsense is disconnected, and the session hands over to the fallback.

use std::{future::pending, io, path::PathBuf, time::Duration};

use probe_daemon::{
    api::wait as api,
    client::{Client, ClientError, Message, Trust},
};
use probe_user::{
    model::{ProcessState, Until},
    unstable::{bpf::load::Plan, wait::Target},
};
use tokio::{sync::mpsc, task::JoinSet};

use super::{Session, WaitError, above_progress, exits::flush_or_discard};
use crate::output::Backend;

/// Messages that are received at once.
const MANY: usize = 256;
/// How long after the daemon's verdict BPF joins, if our own look does not agree.
const VERDICT_DOUBTED: Duration = Duration::from_millis(50);

/// A message, or why no more will come.
pub(super) type Received = Result<Message, ClientError>;

/// How to ask a daemon.
#[derive(Debug)]
pub struct DaemonRequest {
    /// Path of its socket.
    pub socket: PathBuf,
    /// Which user's daemon is believed.
    pub trust: Trust,
    /// How long its first answers may take.
    pub patience: Duration,
    /// Whether the user named the daemon or its socket: a failure to reach it is
    /// then worth a warning.
    pub is_named: bool,
    /// When the wait will end by itself, from now.
    pub timeout: Option<Duration>,
    /// The BPF programs that join if the daemon does not serve, and how long after
    /// that is known.
    pub fallback: (Plan, Duration),
}

/// The daemon of a session, connected or not.
#[derive(Default)]
pub(super) struct DaemonBackend {
    pub(super) state: State,
    /// Each target of the request, with the index of its wait in the set.
    targets: Vec<(api::Target, usize)>,
    waits: usize,
    /// Which of the targets the daemon has reported as done.
    met: Vec<bool>,
    messages: Option<mpsc::Receiver<Received>>,
    /// Reads from the socket. Its task ends with this.
    reader: JoinSet<()>,
    pub(super) fallback: Option<(Plan, Duration)>,
    /// What served once the daemon was disconnected.
    pub(super) handed_over_to: Option<Backend>,
    is_named: bool,
    /// Whether the daemon knows when to give up.
    pub(super) has_timeout: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// No daemon was asked, or it was disconnected.
    #[default]
    Disconnected,
    Asked,
    Armed,
    /// Its verdict has come, after which no message follows.
    Finished,
}

impl DaemonBackend {
    /// Adds the targets of one more wait to what the daemon will be asked for.
    pub(super) fn add(&mut self, target: &Target, until: Until) {
        for (pinned, _) in &target.cgroups {
            let (hierarchy, id) = (pinned.id.hierarchy, pinned.id.id);
            let cgroup = Some(api::Cgroup { hierarchy, id });
            self.push(until, |it| it.cgroup = cgroup);
        }
        let until = match until {
            Until::Reaped => Until::Reaped,
            _ => Until::Exited,
        };
        for process in &target.processes {
            let is_there = || process.state().is_ok_and(|it| it != ProcessState::Reaped);
            // The daemon reports the processes of a cgroup with the cgroup.
            if target.cgroups.is_empty() && is_there() {
                let (pid, start_ticks) = (process.tgid, process.start_ticks());
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

    /// Whether messages may come.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Asked | State::Armed)
    }

    /// Whether it is the best source of wake-ups at the moment.
    pub(super) fn serves(&self) -> bool {
        matches!(self.state, State::Armed | State::Finished)
    }

    /// Resolves when messages have come; to none after the last one. Never
    /// resolves if no daemon is connected.
    pub(super) async fn messages(&mut self) -> Vec<Received> {
        let is_finished = self.state == State::Finished;
        let Some(messages) = self.messages.as_mut().filter(|_| !is_finished) else {
            return pending().await;
        };
        let mut received = Vec::new();
        messages.recv_many(&mut received, MANY).await;
        received
    }

    /// Whether the daemon has reported all targets of the waits that are `done`.
    /// Once all waits are done it still owes its verdict.
    pub(super) fn has_reported(&self, done: &[bool]) -> bool {
        let mut targets = self.targets.iter().zip(&self.met);
        let is_all = done.iter().all(|&it| it);
        !is_all && targets.all(|((_, wait), &is_met)| is_met || !done[*wait])
    }
}

impl Session {
    /// Asks a daemon to watch the targets that are armed. If one answers, it joins.
    pub fn ask_daemon(&mut self, request: DaemonRequest) {
        let daemon = &mut self.daemon;
        let targets: Vec<_> = daemon.targets.iter().map(|(it, _)| it.clone()).collect();
        let wait = api::Request {
            targets,
            until: None,
            timeout_ms: request
                .timeout
                .and_then(|timeout| u64::try_from(timeout.as_millis()).ok())
                .filter(|&timeout| timeout <= api::MOST_TIMEOUT_MS),
            count: None,
        };
        let (sender, messages) = mpsc::channel(MANY);
        daemon.state = State::Asked;
        daemon.met = vec![false; daemon.targets.len()];
        daemon.messages = Some(messages);
        daemon.fallback = Some(request.fallback);
        daemon.is_named = request.is_named;
        // With no time at all we do not wait for its verdict either.
        daemon.has_timeout = request.timeout.is_some_and(|it| !it.is_zero());
        let (socket, trust, patience) = (request.socket, request.trust, request.patience);
        daemon.reader.spawn(async move {
            let connected = Client::connect(&socket, &trust, patience).await;
            if let Err(error) = read(connected, &wait, &sender).await {
                // The wait may be over, and with it the need for the reason.
                let _over = sender.send(Err(error)).await;
            }
        });
    }

    /// Resolves when the daemon is armed, or with the reason why it does not serve:
    /// then the fallback is on its way.
    pub async fn daemon_answered(&mut self) -> Result<Result<(), ClientError>, WaitError> {
        while self.daemon.state == State::Asked {
            let mut received = self.daemon.messages().await;
            let is_armed = |it: &Received| matches!(it, Ok(Message::Armed(_)));
            let was_armed = received.iter().any(is_armed);
            let failed = received.iter().position(Result::is_err);
            let reason = match failed.filter(|_| !was_armed) {
                Some(at) => received.swap_remove(at).err(),
                None => received.is_empty().then_some(ClientError::Gone),
            };
            if let Some(reason) = reason {
                self.disconnect_daemon();
                return Ok(Err(reason));
            }
            self.apply_messages(received).map_err(WaitError::Write)?;
            if !was_armed && self.daemon.state == State::Disconnected {
                return Ok(Err(ClientError::Gone));
            }
        }
        Ok(Ok(()))
    }

    /// Every message is a reason to look, and so is the end of them.
    pub(super) fn apply_messages(&mut self, received: Vec<Received>) -> io::Result<()> {
        self.set.record_external_wake();
        self.reporter.clock.sync();
        let bar = self.progress.take();
        let applied = above_progress(bar.as_ref(), || {
            if received.is_empty() {
                self.lose_daemon(ClientError::Gone);
            }
            for message in received {
                match message {
                    Ok(message) => self.apply_message(message)?,
                    Err(error) => self.lose_daemon(error),
                }
            }
            flush_or_discard(&mut self.reporter, Ok(0))
        });
        self.progress = bar;
        applied
    }

    fn apply_message(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Armed(_) if self.daemon.state == State::Asked => {
                self.daemon.state = State::Armed;
                self.set.reregister();
                self.record_backend(self.current_backend());
                // Before the first look the targets may be gone already, and then
                // no wait follows that could be called armed.
                if self.has_looked {
                    self.report_armed();
                }
            }
            Message::Armed(_) => {}
            Message::Record(record) => {
                if let Err(error) = self.reporter.report_chosen(&record) {
                    return flush_or_discard(&mut self.reporter, Err(error));
                }
            }
            Message::Met(target) => {
                if let Some(met) = self.daemon.met.get_mut(target) {
                    *met = true;
                }
            }
            Message::Verdict(verdict) => {
                tracing::debug!(verdict.outcome, "the daemon's verdict");
                self.daemon.state = State::Finished;
                self.fall_back(VERDICT_DOUBTED);
            }
            Message::Goodbye => {
                tracing::info!("the daemon says goodbye");
                self.disconnect_daemon();
            }
        }
        Ok(())
    }

    /// The wait goes on without the daemon.
    fn lose_daemon(&mut self, error: ClientError) {
        if self.daemon.is_connected() {
            log_without_daemon(error, self.daemon.is_named);
            self.disconnect_daemon();
        }
    }

    fn disconnect_daemon(&mut self) {
        self.daemon.state = State::Disconnected;
        self.daemon.messages = None;
        self.daemon.reader.abort_all();
        self.daemon.handed_over_to = Some(self.current_backend());
        self.fall_back(Duration::ZERO);
    }
}

/// Where a daemon is optional, its absence is no reason for a warning.
pub(crate) fn log_without_daemon(error: ClientError, is_named: bool) {
    let is_expected = error.is_absence() && !is_named;
    let reason = anyhow::Error::new(error);
    if is_expected {
        tracing::info!("without a daemon: {reason:#}");
    } else {
        tracing::warn!("without the daemon: {reason:#}");
    }
}

/// Reads up to the last message.
async fn read(
    connected: Result<Client, ClientError>,
    wait: &api::Request,
    sender: &mpsc::Sender<Received>,
) -> Result<(), ClientError> {
    let mut messages = connected?.wait(wait).await?;
    while let Some(message) = messages.next().await? {
        if sender.send(Ok(message)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
