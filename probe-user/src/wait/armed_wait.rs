//! [`ArmedWait`], the public form of an armed wait.

use std::{
    future::{Future, IntoFuture},
    io,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;

use super::{
    armed::{Met, Wait},
    condition::Answer,
    error::WaitError,
    hub::Hub,
};
use crate::diagnosis::{self, Observer, Survivor};

/// A wait that is armed. Dropping it disarms it and never blocks.
#[derive(Debug)]
pub struct ArmedWait {
    pub(super) wait: Wait,
    pub(super) name: String,
    pub(super) timeout: Option<Duration>,
    /// Keeps the BPF programs attached as long as a wait needs them.
    pub(super) _hub: Arc<Hub>,
}

impl ArmedWait {
    /// Resolves when the condition holds. Cancel safe; the time limit starts anew with each
    /// call.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`] after the time limit, [`WaitError::Look`] if the
    /// state of the target cannot be read.
    pub async fn met(&mut self) -> Result<Met, WaitError> {
        let after = self.timeout.unwrap_or(Duration::MAX);
        if let Ok(met) = timeout(after, self.wait.met()).await {
            return met.map_err(|source| self.look_error(source));
        }
        self.wait.give_up_unrelated();
        if let Some(met) = self.look()? {
            return Ok(Met {
                already: false,
                ..met
            });
        }
        Err(WaitError::TimedOut {
            target: self.name.clone(),
            until: self.wait.until(),
            after,
            survivors: self.survivors()?,
        })
    }

    /// Looks once at the state of the target; `None` if the condition does not hold.
    pub fn look(&mut self) -> Result<Option<Met>, WaitError> {
        let answer = self.wait.look();
        match answer.map_err(|source| self.look_error(source))? {
            Answer::No => Ok(None),
            Answer::Yes { exact } => Ok(Some(Met {
                exact,
                already: true,
                woken_by: None,
            })),
        }
    }

    /// The processes that keep the condition from holding now, and why each may still exist.
    pub fn survivors(&self) -> Result<Vec<Survivor>, WaitError> {
        let pids = self.wait.survivors();
        let pids = pids.map_err(|source| self.look_error(source))?;
        Ok(diagnosis::describe(&pids, &Observer::new()))
    }

    fn look_error(&self, source: io::Error) -> WaitError {
        WaitError::Look {
            target: self.name.clone(),
            source,
        }
    }
}

impl IntoFuture for ArmedWait {
    type Output = Result<Met, WaitError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.met().await })
    }
}
