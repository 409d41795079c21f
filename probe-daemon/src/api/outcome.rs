//! Outcomes of a wait, with their names in JSON and metrics.

use serde::Serialize;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The condition became true.
    Done,
    /// The condition was true at the first look.
    Already,
    /// The timeout expired first.
    Timeout,
    /// A signal stopped the command, or the client disconnected from the daemon.
    Interrupted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Done, Self::Already, Self::Timeout, Self::Interrupted];

    /// Its name in JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
        }
    }
}
