//! How a wait ended, in the words of JSON and metrics.

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The condition became true.
    Done,
    /// It was true at the first look.
    Already,
    /// The time was up first.
    Timeout,
    /// A signal asked us to stop.
    Interrupted,
}

impl Outcome {
    /// The word in JSON.
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
