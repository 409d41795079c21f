//! Decides when a wait is over.
//!
//! Events wake, levels decide: a BPF record, a `cgroup.events` notification and
//! the timer all mean *check now*, and what is checked is the state of the
//! cgroup itself. A lost, late, duplicated or reordered event can cost time,
//! never truth. Synchronous and pure; who wakes and who reads the level is
//! `crate::wait`.

mod backend;
mod backoff;
mod condition;
mod level;

pub use backend::Backend;
pub use backoff::{Backoff, Doubt};
pub use condition::{Answer, Facts, Until};
pub use level::{Level, Life};

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
