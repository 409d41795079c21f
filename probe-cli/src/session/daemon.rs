//! A daemon as a source of wake-ups: it watches the same targets, and each of its messages is
//! one more reason to look.
//!
//! No verdict depends on the daemon, only whether a verdict is exact. If it stalls, dies, ends the connection or sends invalid
//! messages, the session disconnects it and starts the fallback.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use probe_daemon::{
    api::{Outcome, wait as api},
    client::{Client, ClientError, Message, Trust},
};
use probe_user::{model::LossReason, unstable::bpf::load::Plan};
use tokio::sync::mpsc;

use super::{
    Session, WaitError,
    daemon_backend::{BATCH, State},
    exits::flush_or_discard,
    messages::{Received, read},
};
use crate::output::above_progress;

/// How long after the verdict of the daemon BPF joins, if the session's own look disagrees.
const AFTER_VERDICT: Duration = Duration::from_millis(50);

/// How to ask a daemon.
#[derive(Debug)]
pub struct DaemonRequest {
    /// Path of its socket.
    pub socket: PathBuf,
    /// Which users may run a daemon that this session trusts.
    pub trust: Trust,
    /// How long the daemon may take for its first answers.
    pub patience: Duration,
    /// Whether the user named the daemon or its socket, so that a failure to reach it is
    /// logged as a warning.
    pub is_named: bool,
    /// The timeout of the wait, from now.
    pub timeout: Option<Duration>,
    /// The BPF programs that join if the daemon does not serve, and the delay before they
    /// are loaded.
    pub fallback: (Plan, Duration),
}

impl Session {
    /// Asks a daemon to watch the armed targets. A daemon that answers joins the session.
    pub fn ask_daemon(&mut self, request: DaemonRequest) {
        let daemon = &mut self.daemon;
        let targets: Vec<_> = daemon.targets.iter().map(|(it, _)| it.clone()).collect();
        let wait = api::Request {
            targets,
            until: None,
            timeout_ms: request
                .timeout
                .and_then(|timeout| u64::try_from(timeout.as_millis()).ok())
                .filter(|&timeout| timeout <= api::MAX_TIMEOUT_MS),
            count: None,
        };
        let (sender, messages) = mpsc::channel(BATCH);
        daemon.state = State::Asked;
        daemon.messages = Some(messages);
        daemon.fallback = Some(request.fallback);
        daemon.is_named = request.is_named;
        // With a timeout of 0 the session does not wait for the verdict of the daemon.
        daemon.has_timeout = request.timeout.is_some_and(|it| !it.is_zero());
        let (socket, trust, patience) = (request.socket, request.trust, request.patience);
        let wants_rest = Arc::clone(&daemon.wants_rest);
        daemon.reader.spawn(async move {
            let connected = Client::connect(&socket, &trust, patience).await;
            if let Err(error) = read(connected, &wait, &sender, &wants_rest).await {
                // This fails if the session is over and has dropped the receiver.
                let _over = sender.send(Err(error)).await;
            }
        });
    }

    /// Resolves when the daemon is armed, or with the reason why it does not serve or does not
    /// report exits. In these cases the fallback is started.
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
        if self.daemon.lacks_exits {
            return Ok(Err(ClientError::WithoutExits));
        }
        Ok(Ok(()))
    }

    /// Applies messages. Each of them, and the end of the stream, is a reason to look.
    pub(super) fn apply_messages(&mut self, received: Vec<Received>) -> io::Result<()> {
        self.set.record_external_wake();
        self.reporter.printer.clock.sync();
        above_progress(|| {
            if received.is_empty() {
                self.lose_daemon(ClientError::Gone)?;
            }
            for message in received {
                match message {
                    Ok(message) => self.apply_message(message)?,
                    Err(error) => self.lose_daemon(error)?,
                }
            }
            flush_or_discard(&mut self.reporter, Ok(0))
        })
    }

    fn apply_message(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Armed(armed) if self.daemon.state == State::Asked => {
                self.daemon.state = State::Armed;
                self.daemon.lacks_exits = self.daemon.lacks_exits(&armed);
                if self.daemon.lacks_exits {
                    tracing::warn!(
                        "{}: BPF programs of this command report them if they can be loaded",
                        ClientError::WithoutExits
                    );
                    self.fall_back(Duration::ZERO);
                }
                self.set.reregister();
                self.record_backend(self.current_backend());
                // Before the first look the targets may be gone already, and a session
                // that never waits is not reported as armed.
                if self.has_looked {
                    self.report_armed();
                }
            }
            // Every message is a reason to look.
            Message::Armed(_) | Message::Met(_) => {}
            Message::Record(record) => {
                if let Err(error) = self.reporter.report_from_daemon(&record) {
                    return flush_or_discard(&mut self.reporter, Err(error));
                }
            }
            Message::Verdict(verdict) => {
                tracing::debug!(verdict.outcome, "the daemon sent its verdict");
                self.daemon.state = State::Finished;
                self.daemon.has_timed_out = verdict.outcome == Outcome::Timeout.as_str();
                let met = [Outcome::Done, Outcome::Already].map(Outcome::as_str);
                self.daemon.is_exact = verdict.exact
                    && met.contains(&verdict.outcome.as_str())
                    && !self.daemon.asks_for_less;
                self.fall_back(AFTER_VERDICT);
            }
            Message::Goodbye => {
                tracing::info!("the daemon is shutting down");
                return self.disconnect_armed_daemon();
            }
        }
        Ok(())
    }

    /// Continues the wait without the daemon.
    fn lose_daemon(&mut self, error: ClientError) -> io::Result<()> {
        if self.daemon.is_connected() {
            log_missing_daemon(error, self.daemon.is_named);
            return self.disconnect_armed_daemon();
        }
        Ok(())
    }

    fn disconnect_armed_daemon(&mut self) -> io::Result<()> {
        let lost = self.lose_exits_of_daemon();
        self.disconnect_daemon();
        lost
    }

    /// Reports that exits may be missing from here on, if the daemon was to report them and BPF
    /// programs do not.
    pub(super) fn lose_exits_of_daemon(&mut self) -> io::Result<()> {
        if !self.daemon.reports_exits() || self.daemon.has_lost_exits || self.hub.has_bpf() {
            return Ok(());
        }
        self.daemon.has_lost_exits = true;
        let lost = self.reporter.lose(LossReason::DaemonGone);
        flush_or_discard(&mut self.reporter, lost.map(|()| 1))
    }

    fn disconnect_daemon(&mut self) {
        self.daemon.state = State::Disconnected;
        self.daemon.messages = None;
        self.daemon.reader.abort_all();
        self.daemon.handed_over_to = Some(self.current_backend());
        self.fall_back(Duration::ZERO);
    }
}

/// Logs why the command continues without a daemon: as a warning, unless the user did not name
/// a daemon and none is running.
pub(crate) fn log_missing_daemon(error: ClientError, is_named: bool) {
    // The daemon works, but serves no target that this user may not see. The command says by
    // itself what it cannot do.
    if let ClientError::Refused(problem) = &error {
        let detail = &problem.detail;
        return tracing::info!(
            "continuing without the daemon, which does not serve this: {detail}"
        );
    }
    let is_expected = error.is_absence() && !is_named;
    let reason = anyhow::Error::new(error);
    if is_expected {
        tracing::info!("continuing without a daemon: {reason:#}");
    } else {
        tracing::warn!("continuing without the daemon: {reason:#}");
    }
}
