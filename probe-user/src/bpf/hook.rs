//! The hooks by name: which tracepoint, which program, what is lost without it.
//!
//! Which of them a command loads is the command's business; how they are
//! loaded is `load.rs`.

/// A tracepoint that a program of ours listens to.
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
    CgroupMade,
    /// `cgroup_attach_task`.
    CgroupAttach,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Exit,
        Self::Fork,
        Self::Exec,
        Self::Signal,
        Self::Oom,
        Self::CgroupPopulated,
        Self::CgroupRemoved,
        Self::CgroupMade,
        Self::CgroupAttach,
    ];

    /// Exits with all that a record can say of them.
    pub const EXITS: [Self; 3] = [Self::Signal, Self::Oom, Self::Exit];

    /// The tracepoint.
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
            Self::CgroupMade => "cgroup_mkdir",
            Self::CgroupAttach => "cgroup_attach_task",
        }
    }

    /// What a user misses if the kernel refuses this hook alone; `None` if
    /// nothing is left to do without it.
    #[must_use]
    pub const fn loss(self) -> Option<&'static str> {
        match self {
            Self::Exit | Self::CgroupPopulated => None,
            Self::Fork | Self::Exec => Some("starts of processes are not reported"),
            Self::Signal => Some("killed_by is unknown"),
            Self::Oom => Some("out-of-memory kills look like others"),
            Self::CgroupRemoved => Some("removal of a cgroup is noticed by the timer only"),
            Self::CgroupMade => Some("paths of short-lived cgroups may be unknown"),
            Self::CgroupAttach => Some("moves between cgroups are not seen"),
        }
    }
}

/// Which arguments this kernel's `sched_process_exit` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitShape {
    /// `(task, group_dead)`, Linux 6.16.
    GroupDead,
    /// `(task)`: the program looks at `signal->live`, and two tasks of a group
    /// may both see 0.
    Live,
    /// As [`ExitShape::Live`], by the classic tracepoint: where the raw one may
    /// be preempted (Linux 7.0) it alone is skipped for nobody.
    Classic,
}

impl ExitShape {
    /// The programs for this shape, the fastest first: it needs a helper of
    /// Linux 5.11 and a kernel with BTF, the other one neither.
    #[must_use]
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::GroupDead => &["exit_group_dead", "exit_group_dead_probed"],
            Self::Live => &["exit_live", "exit_live_probed"],
            Self::Classic => &["exit_classic"],
        }
    }

    /// The word in `doctor`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GroupDead => "group_dead",
            Self::Live => "live",
            Self::Classic => "classic",
        }
    }
}
