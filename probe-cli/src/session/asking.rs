//! How a daemon is asked to take its seat.

use std::{path::PathBuf, time::Duration};

use probe_daemon::{
    api::wait as api,
    client::{Client, ClientError, Trust, Word},
};
use probe_user::unstable::bpf::load::Plan;
use tokio::sync::mpsc;

use super::{
    Session, WaitError,
    seat::{Heard, MANY, State},
};

/// How to ask a daemon.
#[derive(Debug)]
pub struct Asking {
    /// Where it listens.
    pub socket: PathBuf,
    /// Whose word is taken.
    pub trust: Trust,
    /// For its first answers.
    pub patience: Duration,
    /// Whether the user named the daemon or its socket: then what keeps us from
    /// it is worth a warning.
    pub is_named: bool,
    /// When the wait will end by itself, from now.
    pub timeout: Option<Duration>,
    /// What joins if it is of no use, and how long after that is known.
    pub fallback: (Plan, Duration),
}

impl Session {
    /// Lets a daemon join, if one answers.
    pub fn ask(&mut self, asking: Asking) {
        let Asking {
            socket,
            trust,
            patience,
            is_named,
            timeout,
            fallback,
        } = asking;
        let targets: Vec<_> = self.seat.sought.iter().map(|(it, _)| it.clone()).collect();
        let request = api::Request {
            targets,
            until: None,
            timeout_ms: timeout
                .and_then(|timeout| u64::try_from(timeout.as_millis()).ok())
                .filter(|&timeout| timeout <= api::MOST_TIMEOUT_MS),
            count: None,
        };
        let (tell, words) = mpsc::channel(MANY);
        self.seat.state = State::Asked;
        self.seat.met = vec![false; self.seat.sought.len()];
        self.seat.words = Some(words);
        self.seat.fallback = Some(fallback);
        self.seat.is_named = is_named;
        self.seat.has_timeout = timeout.is_some();
        let listen = async move {
            let connected = Client::connect(&socket, &trust, patience).await;
            if let Err(error) = listen(connected, &request, &tell).await {
                // Nobody hears it whose wait is over.
                let _over = tell.send(Err(error)).await;
            }
        };
        self.seat.listener.spawn(listen);
    }

    /// For tests: as long as a daemon serves, nothing else is a reason to look.
    #[doc(hidden)]
    pub fn go_deaf(&mut self) {
        self.is_deaf = true;
    }

    /// Resolves when the daemon is armed, or with the reason why it does not
    /// serve: then what joins instead is on its way.
    pub async fn answered(&mut self) -> Result<Result<(), ClientError>, WaitError> {
        while self.seat.state == State::Asked {
            let mut heard = self.seat.words().await;
            let is_armed = |it: &Heard| matches!(it, Ok(Word::Armed(_)));
            let was_armed = heard.iter().any(is_armed);
            let failed = heard.iter().position(Result::is_err);
            let reason = match failed.filter(|_| !was_armed) {
                Some(at) => heard.swap_remove(at).err(),
                None => heard.is_empty().then_some(ClientError::Gone),
            };
            if let Some(reason) = reason {
                self.unseat();
                return Ok(Err(reason));
            }
            self.heed(heard).map_err(WaitError::Write)?;
            if !was_armed && self.seat.state == State::Empty {
                return Ok(Err(ClientError::Gone));
            }
        }
        Ok(Ok(()))
    }
}

/// Where a daemon is optional, none is nothing to worry about.
pub fn say_without(error: ClientError, is_named: bool) {
    let is_expected = error.is_absence() && !is_named;
    let reason = anyhow::Error::new(error);
    if is_expected {
        tracing::info!("without a daemon: {reason:#}");
    } else {
        tracing::warn!("without the daemon: {reason:#}");
    }
}

/// Until the last word.
async fn listen(
    connected: Result<Client, ClientError>,
    request: &api::Request,
    tell: &mpsc::Sender<Heard>,
) -> Result<(), ClientError> {
    let mut words = connected?.wait(request).await?;
    while let Some(word) = words.next().await? {
        if tell.send(Ok(word)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
