//! Records: events with their cgroup and container, as a reader gets them.
//!
//! `trace` adds cgroup and container to an event. The daemon and the command format
//! records as JSON and as text.

use std::sync::Arc;

use super::{Cgroup, Container, Exit, LossReason, Start, is_within};

/// An event with its time, cgroup and container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed<T> {
    /// Time at which the kernel hook ran: `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
    /// The event.
    pub what: T,
    /// `None` if the cgroup could not be read.
    pub cgroup: Option<Cgroup>,
    /// Its cgroup in the v1 hierarchy that records name in addition to `cgroup`; `None` if
    /// that is a root, the same cgroup, or not known.
    pub v1_cgroup: Option<Box<Cgroup>>,
    /// The cgroup of the exiting task if it is not `cgroup`, see
    /// [`ExitingTask::cgroup`](super::ExitingTask::cgroup).
    pub task_cgroup: Option<Box<Cgroup>>,
    /// The container of `cgroup`, otherwise that of `v1_cgroup`; `None` if both belong to no
    /// known container.
    pub container: Option<Arc<Container>>,
}

impl<T> Placed<T> {
    /// The cgroups that are known, in the order in which they decide on the container.
    pub fn cgroups(&self) -> impl Iterator<Item = &Cgroup> {
        self.cgroup.iter().chain(self.v1_cgroup.as_deref())
    }

    /// Whether one of the known cgroups is in this subtree of a hierarchy.
    #[must_use]
    pub fn is_within(&self, hierarchy: u32, subtree: &str) -> bool {
        self.cgroups().any(|it| {
            let path = it.path.as_deref();
            it.id.hierarchy == hierarchy && path.is_some_and(|path| is_within(path, subtree))
        })
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
        /// Number of the missing records; `None` if it is unknown.
        count: Option<u64>,
        /// Why they are missing.
        reason: LossReason,
    },
}
