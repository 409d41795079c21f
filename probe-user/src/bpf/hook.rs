//! The hooks: the tracepoint and the programs of each, and what is lost without it.
//!
//! A [`Plan`](super::load::Plan) says which hooks are loaded; `load` loads them.

use crate::model::words::words;

words! {
    /// A tracepoint that a BPF program is attached to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Hook {
        /// A task begins to exit.
        Exit = "sched_process_exit",
        /// A task starts.
        Fork = "sched_process_fork",
        /// A process executes a program.
        Exec = "sched_process_exec",
        /// A signal is sent.
        Signal = "signal_generate",
        /// A task takes a signal from a queue.
        SignalDelivered = "signal_deliver",
        /// The out-of-memory killer chooses a process.
        Oom = "mark_victim",
        /// A cgroup becomes empty or populated (Linux 5.2).
        CgroupPopulated = "cgroup_notify_populated",
        /// A cgroup is removed.
        CgroupRemoved = "cgroup_rmdir",
        /// A cgroup is created.
        CgroupCreated = "cgroup_mkdir",
        /// A v1 cgroup is renamed.
        CgroupRenamed = "cgroup_rename",
        /// A task moves to another cgroup.
        CgroupAttach = "cgroup_attach_task",
        /// A process starts in a watched cgroup.
        MemberForked = "member_forked",
        /// A process starts in a watched v1 cgroup.
        MemberForkedV1 = "member_forked_v1",
        /// A task moves to a watched cgroup.
        MemberMoved = "member_moved",
    }
}

impl Hook {
    /// The hooks of a complete exit record, in the order of attachment.
    pub const EXITS: [Self; 4] = [Self::Signal, Self::SignalDelivered, Self::Oom, Self::Exit];

    /// The hooks of a wait for a v2 cgroup. One for a v1 cgroup needs
    /// [`MemberForkedV1`](Self::MemberForkedV1), too.
    pub const WAITS: [Self; 4] = [
        Self::CgroupPopulated,
        Self::CgroupRemoved,
        Self::MemberForked,
        Self::MemberMoved,
    ];

    /// Name of the tracepoint.
    #[must_use]
    pub const fn tracepoint(self) -> &'static str {
        match self {
            Self::MemberForked | Self::MemberForkedV1 => Self::Fork.as_str(),
            Self::MemberMoved => Self::CgroupAttach.as_str(),
            hook => hook.as_str(),
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
            Self::SignalDelivered => Some("killed_by of signals that were pending is unknown"),
            Self::Oom => Some("out-of-memory kills look like other kills"),
            Self::CgroupRemoved => Some("only the timer notices the removal of a cgroup"),
            Self::CgroupRenamed => Some("renamed v1 cgroups keep their old paths"),
            Self::CgroupCreated => Some("paths of short-lived cgroups may be unknown"),
            Self::CgroupAttach => Some("moves between cgroups are not reported"),
            Self::MemberForked | Self::MemberForkedV1 | Self::MemberMoved => {
                Some("verdicts about the processes of a cgroup are not exact")
            }
        }
    }
}

words! {
    /// How an exit program learns that a task is the last of its group.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ExitShape {
        /// By an argument of the tracepoint: `(task, group_dead)`, Linux 6.16.
        GroupDead = "group_dead",
        /// By `signal->live`, because the tracepoint has only `(task)`. Two tasks of a group
        /// may both see 0.
        Live = "live",
        /// By `signal->live`, in a program for the classic tracepoint. Where raw tracepoints
        /// may be preempted (Linux 7.0), the kernel skips them for some tasks, but not this
        /// one.
        Classic = "classic",
    }
}

impl ExitShape {
    /// The programs for this shape. The first one runs faster (0.2 µs less for an exit), and
    /// needs a helper of Linux 5.11 and a kernel with BTF. The other one loads faster, because
    /// the verifier searches the BTF for the types that the first one uses, and needs neither.
    #[must_use]
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::GroupDead => &["exit_group_dead", "exit_group_dead_probed"],
            Self::Live => &["exit_live", "exit_live_probed"],
            Self::Classic => &["exit_classic"],
        }
    }
}
