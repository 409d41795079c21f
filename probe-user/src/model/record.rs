//! What a reader is told: an event, placed in a cgroup and a container.
//!
//! Plain data. How it looks as JSON or on a terminal is `output/`; where the
//! additions come from is `tracker/`.

use std::sync::Arc;

use super::{Cgroup, Container, Exit, Start};

/// Something with its time and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// When the kernel hook ran: `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
    /// What.
    pub what: T,
    /// `None` if the cgroup could not be read.
    pub cgroup: Option<Cgroup>,
    /// `None` if the cgroup belongs to no container that we know of.
    pub container: Option<Arc<Container>>,
}

/// Why events never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The ring buffer had no room: the reader was too slow, or it is small.
    RingFull,
    /// The kernel skipped the program, because the same program was preempted on that
    /// CPU (raw tracepoints, Linux 7.0) or BPF was disabled there (classic ones).
    Skipped,
    /// The one who is told reads too slowly.
    SlowReader,
}

impl LossReason {
    const ALL: [Self; 3] = [Self::RingFull, Self::Skipped, Self::SlowReader];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Skipped => "skipped",
            Self::SlowReader => "slow_reader",
        }
    }

    /// The reason that has this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A process (or, if asked for, a task) ended.
    Exit(Arc<Placed<Exit>>),
    /// A process began or executed a program.
    Start(Box<Placed<Start>>),
    /// Here this many are missing.
    Lost {
        /// How many.
        count: u64,
        /// Why.
        reason: LossReason,
    },
}
