//! The hooks: the tracepoint and the programs of each, and what is lost without it.
//!
//! A [`Plan`](super::load::Plan) says which hooks are loaded; `load` loads them.

/// A tracepoint that a BPF program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `sched_process_exit`.
    Exit,
    /// `sched_process_fork`.
    Fork,
    /// `sched_process_exec`.
    Exec,
    /// `signal_generate`.
    Signal,
    /// `mark_victim`.
    Oom,
    /// `cgroup_notify_populated` (Linux 5.2).
    CgroupPopulated,
    /// `cgroup_rmdir`.
    CgroupRemoved,
    /// `cgroup_mkdir`.
    CgroupCreated,
    /// `cgroup_attach_task`.
    CgroupAttach,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 9] = [
        Self::Exit,
        Self::Fork,
        Self::Exec,
        Self::Signal,
        Self::Oom,
        Self::CgroupPopulated,
        Self::CgroupRemoved,
        Self::CgroupCreated,
        Self::CgroupAttach,
    ];

    /// The hooks of a complete exit record, in the order of attachment.
    pub const EXITS: [Self; 3] = [Self::Signal, Self::Oom, Self::Exit];

    /// Name of the tracepoint.
    #[must_use]
    pub const fn tracepoint(self) -> &'static str {
        match self {
            Self::Exit => "sched_process_exit",
            Self::Fork => "sched_process_fork",
            Self::Exec => "sched_process_exec",
            Self::Signal => "signal_generate",
            Self::Oom => "mark_victim",
            Self::CgroupPopulated => "cgroup_notify_populated",
            Self::CgroupRemoved => "cgroup_rmdir",
            Self::CgroupCreated => "cgroup_mkdir",
            Self::CgroupAttach => "cgroup_attach_task",
        }
    }

    /// What a user misses if the kernel refuses only this hook; `None` if the others are
    /// useless without it.
    #[must_use]
    pub const fn loss(self) -> Option<&'static str> {
        match self {
            Self::Exit | Self::CgroupPopulated => None,
            Self::Fork | Self::Exec => Some("starts of processes are not reported"),
            Self::Signal => Some("killed_by is unknown"),
            Self::Oom => Some("out-of-memory kills look like other kills"),
            Self::CgroupRemoved => Some("only the timer notices the removal of a cgroup"),
            Self::CgroupCreated => Some("paths of short-lived cgroups may be unknown"),
            Self::CgroupAttach => Some("moves between cgroups are not reported"),
        }
    }
}

/// How an exit program learns that a task is the last of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitShape {
    /// By an argument of the tracepoint: `(task, group_dead)`, Linux 6.16.
    GroupDead,
    /// By `signal->live`, because the tracepoint has only `(task)`. Two tasks of a group
    /// may both see 0.
    Live,
    /// By `signal->live`, in a program for the classic tracepoint. Where raw tracepoints
    /// may be preempted (Linux 7.0), the kernel skips them for some tasks, but not this
    /// one.
    Classic,
}

impl ExitShape {
    /// The programs for this shape, the fastest first. That one needs a helper of
    /// Linux 5.11 and a kernel with BTF; the other one needs neither.
    #[must_use]
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::GroupDead => &["exit_group_dead", "exit_group_dead_probed"],
            Self::Live => &["exit_live", "exit_live_probed"],
            Self::Classic => &["exit_classic"],
        }
    }

    /// The word that `probe doctor` prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GroupDead => "group_dead",
            Self::Live => "live",
            Self::Classic => "classic",
        }
    }
}
