//! Records of the daemon outside of a wait: the history and the live stream.

use std::time::Duration;

use hyper::HeaderMap;
use probe_user::model::Record;

use super::{
    ClientError, Lines,
    message::{record, tag},
    within,
};
use crate::api::{CONTAINER, OTHER_CONTAINERS};

/// The container of which an answer has the exits: the newest one with the name in the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// `RUNTIME/ID`.
    pub container: String,
    /// Number of older containers with the name, of which the answer has no exits.
    pub others: u64,
}

impl Newest {
    /// The container in the headers of an answer; `None` if they name no container.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        Some(Self {
            container: text(CONTAINER)?.to_owned(),
            others: text(OTHER_CONTAINERS)?.parse().ok()?,
        })
    }
}

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

    /// Asks for the rest of a live stream: the records until now. Then the stream ends.
    pub fn ask_for_rest(&self) {
        self.lines.ask_for_rest();
    }

    /// The next record; `None` at the end of the answer. A live stream ends only after
    /// [`Records::ask_for_rest`]; then no record is missing that no [`Record::Lost`] counts.
    /// If the stream ends in another way, it is an error, and records may be missing.
    ///
    /// This method is cancel safe: after the future is dropped, the next call continues where
    /// it stopped. After an error the stream is over.
    pub async fn next(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            let line = match self.line_timeout {
                None => self.lines.next().await?,
                Some(after) => within(after, self.lines.next()).await?,
            };
            let is_live = self.line_timeout.is_none();
            let Some(line) = line else {
                return if is_live {
                    Err(ClientError::Gone)
                } else {
                    Ok(None)
                };
            };
            match &*tag(&line)? {
                "end" if is_live => return Ok(None),
                "goodbye" => return Err(ClientError::Stopping),
                _ => {}
            }
            if let Some(record) = record(&line, self.lines.numbers)? {
                return Ok(Some(record));
            }
        }
    }
}
