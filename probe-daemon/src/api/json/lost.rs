//! The line that reports missing records, at their place in the stream.

use std::borrow::Cow;

use probe_user::model::{LossReason, Record};
use serde::{Deserialize, Serialize};

use super::{LineType, SCHEMA};

/// Exits and starts are missing at this place of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// Type of the line.
    pub r#type: LineType,
    /// Number of missing records; `None` if it is unknown.
    pub count: Option<u64>,
    /// A word of [`LossReason`].
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
}

impl LostLine<'_> {
    /// The line of a loss.
    #[must_use]
    pub const fn new(count: Option<u64>, reason: LossReason) -> Self {
        Self {
            schema: SCHEMA,
            r#type: LineType::Lost,
            count,
            reason: Cow::Borrowed(reason.as_str()),
        }
    }

    /// The record of this line.
    #[must_use]
    pub(crate) fn to_record(&self) -> Record {
        Record::Lost {
            count: self.count,
            reason: LossReason::from_word(&self.reason).unwrap_or(LossReason::Other),
        }
    }
}
