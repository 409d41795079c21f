//! What the BPF programs report, in the terms of userspace. The tracker says what
//! the events add up to.

use super::{CgroupId, ExitStatus, KilledBy, LossReason, Process, Signal, Via};

/// A process or one of its threads began to exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Who.
    pub process: Process,
    /// Whether it is the last task of its group. Only then is the process
    /// about to be gone, and even then it is still in its cgroup.
    pub group_dead: bool,
    /// Whether the task is the group leader.
    pub leader: bool,
    /// `None` without BTF.
    pub status: Option<ExitStatus>,
    /// `None` unless a signal ended it and its sender was seen.
    pub killed_by: Option<KilledBy>,
    /// Whether the out-of-memory killer chose it.
    pub oom: bool,
    /// `None` without BTF.
    pub usage: Option<Usage>,
}

impl Exit {
    /// Whether it looks as what the out-of-memory killer chose looks before that
    /// has said so.
    pub(crate) fn may_be_oom_victim(&self) -> bool {
        let by_kernel = |killed_by: &KilledBy| {
            killed_by.signal == Signal::KILL
                && killed_by.via == Via::Kernel
                && killed_by.cause.is_none()
        };
        self.group_dead && !self.oom && self.killed_by.as_ref().is_some_and(by_kernel)
    }

    /// Of a task that took itself for the last one of its group, and is not.
    pub(crate) fn of_one_task(self) -> Self {
        Self {
            group_dead: false,
            killed_by: None,
            oom: false,
            ..self
        }
    }

    /// The out-of-memory killer has said so since.
    pub(crate) fn became_oom_victim(&mut self) {
        self.oom = true;
        self.killed_by = Some(KilledBy::OOM);
    }
}

/// What a process used up, its threads included, its children not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User time in nanoseconds, as `getrusage` splits it.
    pub user_ns: u64,
    /// System time in nanoseconds.
    pub system_ns: u64,
    /// Largest resident set in pages.
    pub max_rss_pages: u64,
}

/// A process began, or became another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Who.
    pub process: Process,
    /// `Some` after `execve`.
    pub exec: Option<Arguments>,
}

/// The argument vector of an `execve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `None` if they could not be read. Not UTF-8 becomes U+FFFD.
    pub args: Option<Vec<String>>,
    /// Whether there were more than 1 KiB.
    pub truncated: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A task exits.
    Exit(Exit),
    /// A process starts.
    Start(Start),
    /// A watched cgroup holds no task any more: a reason to check.
    CgroupEmpty(CgroupId),
    /// A cgroup was removed.
    CgroupRemoved(CgroupId),
    /// A cgroup lies at this path: it was made, or looked up. `None`: nobody
    /// knows its name.
    CgroupPlaced(CgroupId, Option<Box<str>>),
    /// A task moved into a cgroup.
    Attached(CgroupId, Process),
    /// Exits and starts whose records are missing here.
    Lost {
        /// How many.
        count: u64,
        /// Why.
        reason: LossReason,
    },
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
    /// What.
    pub event: Event,
}
