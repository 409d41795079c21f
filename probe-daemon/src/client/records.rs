//! Records of the daemon outside of a wait: the history and the live stream.

use std::time::Duration;

use probe_user::model::Record;

use super::{ClientError, Lines, message::record, within};

/// A stream of records.
#[derive(Debug)]
pub struct Records {
    lines: Lines,
    /// Timeout of each line; `None` for a live stream, where the next record may be hours
    /// away.
    line_timeout: Option<Duration>,
}

impl Records {
    pub(super) const fn new(lines: Lines, line_timeout: Option<Duration>) -> Self {
        Self {
            lines,
            line_timeout,
        }
    }

    /// The next record; `None` at the end of the answer. This method is cancel safe: after
    /// the future is dropped, the next call continues where it stopped. After an error the
    /// stream is over.
    pub async fn next(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            let line = match self.line_timeout {
                None => self.lines.next().await?,
                Some(after) => within(after, self.lines.next()).await?,
            };
            let Some(line) = line else {
                return Ok(None);
            };
            if let Some(record) = record(&line)? {
                return Ok(Some(record));
            }
        }
    }
}
