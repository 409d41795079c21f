//! Messages of the daemon during a wait.

use std::{borrow::Cow, sync::Arc, time::Duration};

use probe_user::model::Record;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{ClientError, Lines, numbers::Numbers};
use crate::api::{
    json::{ExitLine, LostLine},
    wait::{Armed, Line, Verdict},
};

/// One line of the answer to a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The wait is armed: every exit from now on is reported, except those in targets of
    /// [`Armed::without_exits`].
    Armed(Armed),
    /// A process exited, or records are missing at this place.
    Record(Record),
    /// The target with this index in the request meets its condition.
    Met(usize),
    /// The verdict. The last message.
    Verdict(Verdict),
    /// The daemon stops before the wait is over. The last message.
    Goodbye,
}

/// The messages of one wait, in the order in which they arrive.
#[derive(Debug)]
pub struct Messages {
    lines: Lines,
    targets: usize,
    /// Deadline of [`Message::Armed`]; `None` once that message has arrived.
    armed_by: Option<Instant>,
    /// The timeout that `armed_by` was computed from, for the error.
    answer_timeout: Duration,
    is_over: bool,
}

impl Messages {
    pub(super) const fn new(
        lines: Lines,
        targets: usize,
        armed_by: Instant,
        answer_timeout: Duration,
    ) -> Self {
        Self {
            lines,
            targets,
            armed_by: Some(armed_by),
            answer_timeout,
            is_over: false,
        }
    }

    /// Asks for the rest: the exits until now, and the verdict.
    pub fn ask_for_rest(&self) {
        self.lines.ask_for_rest();
    }

    /// The next message; `None` after the last one and after an error. This method is
    /// cancel safe: after the future is dropped, the next call continues where it stopped.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        if self.is_over {
            return Ok(None);
        }
        let message = match self.armed_by {
            None => self.read().await,
            Some(deadline) => {
                let after = self.answer_timeout;
                let message = timeout_at(deadline, self.read()).await;
                message.unwrap_or(Err(ClientError::Late { after }))
            }
        };
        match &message {
            Ok(Message::Armed(_)) => self.armed_by = None,
            Ok(Message::Verdict(_) | Message::Goodbye) | Err(_) => self.is_over = true,
            Ok(_) => {}
        }
        message.map(Some)
    }

    async fn read(&mut self) -> Result<Message, ClientError> {
        loop {
            let line = self.lines.next().await?.ok_or(ClientError::Gone)?;
            match decode(&line, self.lines.numbers)? {
                Some(Message::Met(target)) if target >= self.targets => {
                    let target = u32::try_from(target).unwrap_or(u32::MAX);
                    return Err(ClientError::NoSuchTarget(target));
                }
                Some(message) => return Ok(message),
                // The line has a type of a later version.
                None => {}
            }
        }
    }
}

/// The record in a line, or `None` for an unknown type.
pub(super) fn record(line: &[u8], numbers: Numbers) -> Result<Option<Record>, ClientError> {
    Ok(match &*tag(line)? {
        "exit" => {
            let line: ExitLine<'_> = serde_json::from_slice(line)?;
            let mut exit = line.to_record();
            numbers.convert(&mut exit);
            Some(Record::Exit(Arc::new(exit)))
        }
        "lost" => {
            let line: LostLine<'_> = serde_json::from_slice(line)?;
            Some(line.to_record())
        }
        _ => None,
    })
}

/// The message in a line, or `None` for an unknown type.
pub(crate) fn decode(line: &[u8], numbers: Numbers) -> Result<Option<Message>, ClientError> {
    let is_of_a_wait = matches!(&*tag(line)?, "armed" | "met" | "wait" | "goodbye");
    if !is_of_a_wait {
        return Ok(record(line, numbers)?.map(Message::Record));
    }
    Ok(Some(match serde_json::from_slice(line)? {
        Line::Armed(armed) => Message::Armed(armed),
        Line::Met(met) => Message::Met(usize::try_from(met.target).unwrap_or(usize::MAX)),
        Line::Wait(verdict) => Message::Verdict(verdict),
        Line::Goodbye => Message::Goodbye,
        // The last line of another stream.
        Line::End => return Ok(None),
    }))
}

pub(super) fn tag(line: &[u8]) -> Result<Cow<'_, str>, ClientError> {
    #[derive(Deserialize)]
    struct Tagged<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    let tagged: Tagged<'_> = serde_json::from_slice(line)?;
    Ok(tagged.r#type)
}

#[cfg(test)]
mod tests {
    use probe_user::model::LossReason;

    use super::*;

    fn message(line: &str) -> Result<Option<Message>, ClientError> {
        decode(line.as_bytes(), Numbers::Same)
    }

    #[test]
    fn every_line_type_of_the_api_is_decoded() {
        let armed = Armed {
            live: Some(3),
            ..Armed::default()
        };
        let known = [
            (r#"{"type":"armed","live":3}"#, Message::Armed(armed)),
            (r#"{"type":"met","target":1,"new":[]}"#, Message::Met(1)),
            (r#"{"type":"goodbye"}"#, Message::Goodbye),
            (
                r#"{"schema":1,"type":"lost","count":2,"reason":"ring_full"}"#,
                Message::Record(Record::Lost {
                    count: Some(2),
                    reason: LossReason::RingFull,
                }),
            ),
        ];
        for (line, expected) in known {
            assert_eq!(message(line).expect(line), Some(expected));
        }
    }

    #[test]
    fn unknown_line_types_are_skipped_and_malformed_lines_are_errors() {
        assert_eq!(
            message(r#"{"type":"heartbeat","n":1}"#).expect("JSON"),
            None
        );
        for malformed in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"type":7}"#,
            r#"{"type":"armed","live":-1}"#,
            r#"{"type":"met"}"#,
            r#"{"type":"exit"}"#,
            r#"{"type":"wait","outcome":1}"#,
            r#"{"type":"armed""#,
            "\u{fffd}",
        ] {
            assert!(message(malformed).is_err(), "{malformed}");
        }
    }
}
