//! Records that a daemon tells outside of a wait.

use std::time::Duration;

use probe_user::model::Record;
use tokio::time::timeout;

use super::{ClientError, Lines, word::record};

/// Records as they come.
#[derive(Debug)]
pub struct Records {
    lines: Lines,
    /// For each line; `None`: nobody knows when something happens.
    patience: Option<Duration>,
}

impl Records {
    pub(super) const fn endless(lines: Lines) -> Self {
        Self {
            lines,
            patience: None,
        }
    }

    pub(super) const fn prompt(lines: Lines, patience: Duration) -> Self {
        Self {
            lines,
            patience: Some(patience),
        }
    }

    /// The next one; `None` when the daemon ends the answer. May be dropped and
    /// asked for again.
    pub async fn next(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            let line = match self.patience {
                None => self.lines.next().await,
                Some(after) => timeout(after, self.lines.next())
                    .await
                    .unwrap_or(Err(ClientError::Late { after })),
            };
            match line? {
                None => return Ok(None),
                Some(line) => {
                    if let Some(record) = record(line)? {
                        return Ok(Some(record));
                    }
                }
            }
        }
    }
}
