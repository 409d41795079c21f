//! What a daemon says while it waits.

use std::{borrow::Cow, sync::Arc, time::Duration};

use probe_user::model::Record;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{ClientError, Lines};
use crate::api::{
    json::{ExitLine, LostLine},
    wait::{Armed, Line, Verdict},
};

/// One line of the answer to a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// From here on no exit is missed.
    Armed(Armed),
    /// A process ended, or records are missing here.
    Record(Record),
    /// The target with this place in the request is done.
    Met(usize),
    /// The verdict, and the last word.
    Verdict(Verdict),
    /// The daemon ends before the wait does. The last word.
    Goodbye,
}

/// The words of one wait, as they come.
#[derive(Debug)]
pub struct Words {
    lines: Lines,
    targets: usize,
    /// Until it has come.
    armed_by: Option<Instant>,
    patience: Duration,
    is_over: bool,
}

impl Words {
    pub(super) const fn new(
        lines: Lines,
        targets: usize,
        armed_by: Instant,
        patience: Duration,
    ) -> Self {
        Self {
            lines,
            targets,
            armed_by: Some(armed_by),
            patience,
            is_over: false,
        }
    }

    /// The next word; `None` after the last one. May be dropped and asked for
    /// again.
    pub async fn next(&mut self) -> Result<Option<Word>, ClientError> {
        if self.is_over {
            return Ok(None);
        }
        let word = match self.armed_by {
            None => self.read().await,
            Some(deadline) => {
                let after = self.patience;
                let word = timeout_at(deadline, self.read()).await;
                word.unwrap_or(Err(ClientError::Late { after }))
            }
        };
        match &word {
            Ok(Word::Armed(_)) => self.armed_by = None,
            Ok(Word::Verdict(_) | Word::Goodbye) | Err(_) => self.is_over = true,
            Ok(_) => {}
        }
        word.map(Some)
    }

    async fn read(&mut self) -> Result<Word, ClientError> {
        loop {
            let line = self.lines.next().await?.ok_or(ClientError::Gone)?;
            match decode(line)? {
                Some(Word::Met(target)) if target >= self.targets => {
                    let target = u32::try_from(target).unwrap_or(u32::MAX);
                    return Err(ClientError::NoSuchTarget(target));
                }
                Some(word) => return Ok(word),
                // Of a later version.
                None => {}
            }
        }
    }
}

/// A record line, or `None` for a type that this version does not know.
pub(super) fn record(line: &[u8]) -> Result<Option<Record>, ClientError> {
    Ok(match &*tag(line)? {
        "exit" => {
            let line: ExitLine<'_> = serde_json::from_slice(line)?;
            Some(Record::Exit(Arc::new(line.to_record())))
        }
        "lost" => {
            let line: LostLine<'_> = serde_json::from_slice(line)?;
            Some(line.to_record())
        }
        _ => None,
    })
}

/// `None`: a type that this version does not know.
pub(crate) fn decode(line: &[u8]) -> Result<Option<Word>, ClientError> {
    let is_ours = matches!(&*tag(line)?, "armed" | "met" | "wait" | "goodbye");
    if !is_ours {
        return Ok(record(line)?.map(Word::Record));
    }
    Ok(Some(match serde_json::from_slice(line)? {
        Line::Armed(armed) => Word::Armed(armed),
        Line::Met(met) => Word::Met(usize::try_from(met.target).unwrap_or(usize::MAX)),
        Line::Wait(verdict) => Word::Verdict(verdict),
        Line::Goodbye => Word::Goodbye,
    }))
}

fn tag(line: &[u8]) -> Result<Cow<'_, str>, ClientError> {
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

    fn word(line: &str) -> Result<Option<Word>, ClientError> {
        decode(line.as_bytes())
    }

    #[test]
    fn every_line_of_the_api_is_a_word() {
        let armed = Armed { live: Some(3) };
        let known = [
            (r#"{"type":"armed","live":3}"#, Word::Armed(armed)),
            (r#"{"type":"met","target":1,"new":[]}"#, Word::Met(1)),
            (r#"{"type":"goodbye"}"#, Word::Goodbye),
            (
                r#"{"schema":1,"type":"lost","count":2,"reason":"ring_full"}"#,
                Word::Record(Record::Lost {
                    count: 2,
                    reason: LossReason::RingFull,
                }),
            ),
        ];
        for (line, expected) in known {
            assert_eq!(word(line).expect(line), Some(expected));
        }
    }

    #[test]
    fn a_type_of_a_later_version_is_passed_over_and_nonsense_is_not() {
        assert_eq!(word(r#"{"type":"heartbeat","n":1}"#).expect("JSON"), None);
        for nonsense in [
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
            assert!(word(nonsense).is_err(), "{nonsense}");
        }
    }
}
