//! Records: events with their cgroup and container, as a reader gets them.
//!
//! `trace` adds cgroup and container to an event. The daemon and the command format
//! records as JSON and as text.

use std::sync::Arc;

use super::{Cgroup, Container, Exit, Start};

/// An event with its time, cgroup and container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed<T> {
    /// Time at which the kernel hook ran: `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
    /// The event.
    pub what: T,
    /// `None` if the cgroup could not be read.
    pub cgroup: Option<Cgroup>,
    /// `None` if the cgroup belongs to no known container.
    pub container: Option<Arc<Container>>,
}

/// Why records are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The ring buffer had no room: the reader was too slow, or the ring is small.
    RingFull,
    /// The kernel skipped the program, because the same program was preempted on that
    /// CPU (raw tracepoints, Linux 7.0) or BPF was disabled there (classic ones).
    Skipped,
    /// The client reads too slowly.
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
    /// A process (or, with [`Filter::threads`](super::Filter::threads), a task) ended.
    Exit(Arc<Placed<Exit>>),
    /// A process started or executed a program.
    Start(Box<Placed<Start>>),
    /// Records are missing here.
    Lost {
        /// Number of the missing records.
        count: u64,
        /// Why they are missing.
        reason: LossReason,
    },
}
