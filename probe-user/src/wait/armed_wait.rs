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
use crate::proc::survivors::{self, Survivor};

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
        let Some(limit) = self.timeout else {
            return self
                .wait
                .met()
                .await
                .map_err(|source| self.look_error(source));
        };
        match timeout(limit, self.wait.met()).await {
            Ok(met) => met.map_err(|source| self.look_error(source)),
            Err(_elapsed) => match self.look_at_last()? {
                Some(met) => Ok(met),
                None => Err(self.timed_out(limit)?),
            },
        }
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
        Ok(survivors::describe(
            &pids.map_err(|source| self.look_error(source))?,
        ))
    }

    fn look_at_last(&mut self) -> Result<Option<Met>, WaitError> {
        self.wait.give_up_unrelated();
        let met = self.look()?;
        Ok(met.map(|met| Met {
            already: false,
            ..met
        }))
    }

    fn timed_out(&self, after: Duration) -> Result<WaitError, WaitError> {
        Ok(WaitError::TimedOut {
            target: self.name.clone(),
            until: self.wait.until(),
            after,
            survivors: self.survivors()?,
        })
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
