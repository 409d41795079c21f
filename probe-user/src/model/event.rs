//! Events: the records of the BPF programs, decoded.

use super::{CgroupId, Comm, ExitStatus, KilledBy, LossReason, Process, ProcessId, Signal, Via};

/// A process or one of its threads began to exit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Exit {
    /// The task that exits.
    pub process: Process,
    /// Whether the task is the last of its group. Only then is the process
    /// about to be gone, and even then it is still in its cgroup.
    pub group_dead: bool,
    /// Whether the task is the group leader.
    pub leader: bool,
    /// Wait status of the process, or of the task if others live; `None` without BTF.
    pub status: Option<ExitStatus>,
    /// Origin of the signal that ended the process; `None` for a normal exit, and if the
    /// signal was not recorded.
    pub killed_by: Option<KilledBy>,
    /// Whether `killed_by` is unknown because other processes had too many signals pending:
    /// then the BPF programs forget the oldest.
    pub killer_forgotten: bool,
    /// Whether the out-of-memory killer chose the process.
    pub oom: bool,
    /// Resources that the process used; `None` without BTF.
    pub usage: Option<Usage>,
    /// The task that exits. `process` describes its group leader.
    pub task: ExitingTask,
}

/// The task of an exit, which need not be the group leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitingTask {
    /// Its name.
    pub comm: Comm,
    /// Its start in `CLOCK_BOOTTIME` nanoseconds; `None` without BTF.
    pub start_boottime_ns: Option<u64>,
    /// Its cgroup in the hierarchy of the leader's cgroup; `None` if it is the same.
    pub cgroup: Option<CgroupId>,
    /// Whether it is in another v2 cgroup than the leader, so that the BPF programs have not
    /// tested the leader's cgroup.
    pub is_apart: bool,
}

impl Exit {
    /// Whether the process may be a victim of the out-of-memory killer that is not marked
    /// yet.
    pub(crate) fn may_be_oom_victim(&self) -> bool {
        let by_kernel = |killed_by: &KilledBy| {
            killed_by.signal == Signal::KILL
                && killed_by.via == Via::Kernel
                && killed_by.cause.is_none()
        };
        self.group_dead && !self.oom && self.killed_by.as_ref().is_some_and(by_kernel)
    }

    /// Turns the exit of a process into the exit of one task, which was reported as the
    /// last of its group but is not.
    pub(crate) fn into_task_exit(self) -> Self {
        Self {
            group_dead: false,
            killed_by: None,
            killer_forgotten: false,
            oom: false,
            ..self
        }
    }

    /// Records that the out-of-memory killer chose the process.
    pub(crate) fn mark_oom_victim(&mut self) {
        self.oom = true;
        self.killed_by = Some(KilledBy::OOM);
    }
}

/// Resources that a process used, with its threads and without its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User time in nanoseconds, as `getrusage` splits it.
    pub user_ns: u64,
    /// System time in nanoseconds.
    pub system_ns: u64,
    /// Largest resident set in pages.
    pub max_rss_pages: u64,
}

/// A process started, or executed another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The process.
    pub process: Process,
    /// `Some` after `execve`.
    pub exec: Option<Arguments>,
}

/// The argument vector of an `execve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The arguments; `None` if they could not be read. Bytes that are not UTF-8 become
    /// U+FFFD.
    pub args: Option<Vec<String>>,
    /// Whether the arguments were longer than 1 KiB and are cut off.
    pub truncated: bool,
}

/// An event that the BPF programs report.
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
    /// A cgroup has this path: it was created, or its path was looked up. `None` if the
    /// path is unknown.
    CgroupPlaced(CgroupId, Option<Box<str>>),
    /// A cgroup was created or renamed, and its path is too long for a record: its parent (by
    /// the inode number of the directory) and its name.
    CgroupNamed(CgroupId, u64, Box<str>),
    /// A task moved into a cgroup.
    Attached(CgroupId, Process),
    /// A process entered a watched cgroup or a descendant of one.
    CgroupEntered(CgroupId, ProcessId),
    /// Records of exits and starts are missing here.
    Lost {
        /// Number of the missing records.
        count: u64,
        /// Why they are missing.
        reason: LossReason,
    },
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When the hook ran: `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
    /// The event.
    pub event: Event,
}
