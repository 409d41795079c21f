//! Globals that the loader sets before the programs are verified.
//!
//! The verifier knows them as constants, so a filter that is off and a field that
//! this kernel lacks cost nothing at run time.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::event::UNKNOWN;

/// Symbol of the [`Offsets`] global.
pub const OFFSETS_SYMBOL: &str = "OFFSETS";
/// Symbol of the [`Filter`] global.
pub const FILTER_SYMBOL: &str = "FILTER";

/// Entries of the hierarchy rank table. A v1 hierarchy with a larger id has the
/// last rank.
pub const HIERARCHIES: usize = 32;
/// Slots of the cgroup array for in-kernel subtree filters.
pub const CGROUP_SLOTS: u32 = 8;

/// Controllers that name the cgroup of a task on v1, best first, as
/// `enum cgroup_subsys_id` calls them.
pub const CONTROLLERS: [&str; 3] = ["pids_cgrp_id", "memory_cgrp_id", "freezer_cgrp_id"];

/// [`Filter::flags`]: report every task, not only the last of its group.
pub const FILTER_THREADS: u32 = 1 << 0;
/// [`Filter::flags`]: only tasks with a status other than `exited, 0`.
pub const FILTER_FAILED: u32 = 1 << 1;
/// [`Filter::flags`]: only tasks that a signal ended.
pub const FILTER_SIGNALED: u32 = 1 << 2;
/// [`Filter::flags`]: only out-of-memory victims.
pub const FILTER_OOM: u32 = 1 << 3;
/// [`Filter::flags`]: only tasks of [`Filter::uid`].
pub const FILTER_UID: u32 = 1 << 4;
/// [`Filter::flags`]: only thread groups in the pid set.
pub const FILTER_PIDS: u32 = 1 << 5;
/// [`Filter::flags`]: only ages within the two bounds.
pub const FILTER_AGE: u32 = 1 << 6;

/// Values of the map of watched cgroups: the last value of `populated`.
pub mod occupancy {
    /// `populated` has not changed since the watch began.
    pub const UNCHANGED: u32 = 0;
    /// The subtree lost its last task.
    pub const EMPTY: u32 = 1;
    /// The subtree got its first task.
    pub const POPULATED: u32 = 2;
}

/// What the stream reports, and when its reader is woken.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Filter {
    /// `FILTER_` flags.
    pub flags: u32,
    /// The user that [`FILTER_UID`] selects.
    pub uid: u32,
    /// Number of slots of the cgroup array that are set; 0: every cgroup.
    pub cgroup_slots: u32,
    /// Unread bytes in the stream ring at which its reader is woken.
    pub wake_bytes: u32,
    /// Least age in nanoseconds; see [`FILTER_AGE`].
    pub min_age_ns: u64,
    /// Greatest age in nanoseconds; see [`FILTER_AGE`].
    pub max_age_ns: u64,
    /// Hierarchy for which every record has the cgroup besides the usual one;
    /// [`UNKNOWN`]: none.
    pub hierarchy: u32,
    /// Inode number of the reader's pid namespace, whose numbers records have; 0: unknown, so
    /// that records have none.
    pub pid_ns: u32,
}

/// Inode number of the initial pid namespace, the same on every machine (Linux 3.8):
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/proc_ns.h#L44>
pub const INITIAL_PID_NS: u32 = 0xefff_fffc;

/// A [`Filter`] that lets everything pass.
pub const FILTER_NOTHING: Filter = Filter {
    flags: 0,
    uid: 0,
    cgroup_slots: 0,
    wake_bytes: 1 << 20,
    min_age_ns: 0,
    max_age_ns: u64::MAX,
    hierarchy: UNKNOWN,
    pid_ns: INITIAL_PID_NS,
};

macro_rules! offsets {
    ($($(#[$doc:meta])* $field:ident = $strct:literal . $member:literal,)*) => {
        /// Where kernel structs keep what the programs read, in bytes from the
        /// start of the struct; [`UNKNOWN`] where this kernel's BTF has no such
        /// member, or there is no BTF.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct Offsets {
            $($(#[$doc])* #[doc = concat!("`", $strct, ".", $member, "`")] pub $field: u32,)*
            /// `sizeof(struct upid)`, the stride of `pid.numbers`.
            pub upid_bytes: u32,
            /// `sizeof(struct k_sigaction)`, the stride of `sighand_struct.action`.
            pub sigaction_bytes: u32,
            /// Where `pt_regs` has the number of the system call; [`UNKNOWN`] also where
            /// the programs cannot find these registers (before Linux 5.15).
            pub syscall_number: u32,
            /// Number of ticks for which the kernel delays the next notification of
            /// `cgroup.events`: 10 ms, rounded up. Set from the clock's resolution,
            /// not from BTF; [`UNKNOWN`]: for ever.
            pub notify_interval_ticks: u32,
            /// Where `css_set.subsys` has the state of the controllers
            /// [`CONTROLLERS`]; [`UNKNOWN`] where the kernel lacks one.
            pub css_set_subsys: [u32; CONTROLLERS.len()],
            /// Rank of each hierarchy: the one with the smallest rank names the
            /// cgroup of a task. Set from the mount table, not from BTF.
            pub hierarchy_rank: [u8; HIERARCHIES],
        }

        /// [`Offsets`] without a single known member.
        pub const OFFSETS_UNKNOWN: Offsets = Offsets {
            $($field: UNKNOWN,)*
            upid_bytes: UNKNOWN,
            sigaction_bytes: UNKNOWN,
            syscall_number: UNKNOWN,
            notify_interval_ticks: UNKNOWN,
            css_set_subsys: [UNKNOWN; CONTROLLERS.len()],
            hierarchy_rank: [u8::MAX; HIERARCHIES],
        };

        /// Struct and member (a path through nested structs) of each field, in
        /// the order of the fields.
        pub const MEMBERS: &[(&str, &str)] = &[$(($strct, $member),)*];
    };
}

offsets! {
    /// The tid.
    task_pid = "task_struct"."pid",
    /// The thread group.
    task_tgid = "task_struct"."tgid",
    /// Parent that is not a tracer.
    task_real_parent = "task_struct"."real_parent",
    /// Tracer, or else the real parent.
    task_parent = "task_struct"."parent",
    /// Not 0 while traced.
    task_ptrace = "task_struct"."ptrace",
    /// The task that represents its group, alive or zombie.
    task_group_leader = "task_struct"."group_leader",
    /// Objective credentials: those that `/proc/PID/status` shows.
    task_real_cred = "task_struct"."real_cred",
    /// `CLOCK_BOOTTIME` since 5.5.
    task_start_boottime = "task_struct"."start_boottime",
    /// Raw wait status of the task.
    task_exit_code = "task_struct"."exit_code",
    /// `PF_` flags.
    task_flags = "task_struct"."flags",
    /// Shared by the thread group.
    task_signal = "task_struct"."signal",
    /// The `css_set`.
    task_cgroups = "task_struct"."cgroups",
    /// Name, NUL padded.
    task_comm = "task_struct"."comm",
    /// Valid until `release_task`.
    task_thread_pid = "task_struct"."thread_pid",
    /// Tick-accounted user time.
    task_utime = "task_struct"."utime",
    /// Tick-accounted system time.
    task_stime = "task_struct"."stime",
    /// Exact run time.
    task_sum_exec_runtime = "task_struct"."se.sum_exec_runtime",
    /// Node of `signal_struct.thread_head`.
    task_thread_node = "task_struct"."thread_node",
    /// Null for kernel threads; at exit null before 6.16.
    task_mm = "task_struct"."mm",
    /// Real uid.
    cred_uid = "cred"."uid",
    /// Tasks that have not begun to exit.
    signal_live = "signal_struct"."live",
    /// Tasks that have not been released.
    signal_nr_threads = "signal_struct"."nr_threads",
    /// `SIGNAL_` flags.
    signal_flags = "signal_struct"."flags",
    /// Raw wait status of the group.
    signal_group_exit_code = "signal_struct"."group_exit_code",
    /// User time of released tasks.
    signal_utime = "signal_struct"."utime",
    /// System time of released tasks.
    signal_stime = "signal_struct"."stime",
    /// Exact run time of released tasks.
    signal_sum_sched_runtime = "signal_struct"."sum_sched_runtime",
    /// List of the tasks that have not been released.
    signal_thread_head = "signal_struct"."thread_head",
    /// Largest resident set in pages; up to date at the exit tracepoint of the last task.
    signal_maxrss = "signal_struct"."maxrss",
    /// The v2 cgroup.
    css_set_dfl_cgrp = "css_set"."dfl_cgrp",
    /// One pointer for each controller, to the controller's state.
    css_set_subsys_array = "css_set"."subsys",
    /// The cgroup that a controller's state belongs to.
    css_cgroup = "cgroup_subsys_state"."cgroup",
    /// The state of the parent cgroup.
    css_parent = "cgroup_subsys_state"."parent",
    /// One link for each mounted hierarchy.
    css_set_cgrp_links = "css_set"."cgrp_links",
    /// The cgroup in the hierarchy of the link.
    link_cgrp = "cgrp_cset_link"."cgrp",
    /// Node of `css_set.cgrp_links`.
    link_cgrp_link = "cgrp_cset_link"."cgrp_link",
    /// The state of the cgroup that no controller owns.
    cgroup_self = "cgroup"."self",
    /// The directory.
    cgroup_kn = "cgroup"."kn",
    /// Last component of the path.
    kn_name = "kernfs_node"."name",
    /// The hierarchy.
    cgroup_root = "cgroup"."root",
    /// 0 for the root cgroup.
    cgroup_level = "cgroup"."level",
    /// Jiffies at the last notification of `cgroup.events`.
    cgroup_events_notified_at = "cgroup"."events_file.notified_at",
    /// Equals the directory's inode number.
    kn_id = "kernfs_node"."id",
    /// 0 for v2.
    root_hierarchy_id = "cgroup_root"."hierarchy_id",
    /// Depth of the pid namespace.
    pid_level = "pid"."level",
    /// One `upid` for each level.
    pid_numbers = "pid"."numbers",
    /// The pid in that namespace.
    upid_nr = "upid"."nr",
    /// The namespace.
    upid_ns = "upid"."ns",
    /// Inode number of the namespace.
    pid_ns_inum = "pid_namespace"."ns.inum",
    /// Start of the arguments.
    mm_arg_start = "mm_struct"."arg_start",
    /// End of the arguments.
    mm_arg_end = "mm_struct"."arg_end",
    /// `SI_` code.
    siginfo_si_code = "kernel_siginfo"."si_code",
    /// Pid of the sender, for the codes that have one.
    siginfo_si_pid = "kernel_siginfo"."_sifields._kill._pid",
    /// The siginfo of a queued signal.
    sigqueue_info = "sigqueue"."info",
    /// Node of the queue.
    sigqueue_list = "sigqueue"."list",
    /// Handlers of the thread group.
    task_sighand = "task_struct"."sighand",
    /// Signals that the task blocks.
    task_blocked = "task_struct"."blocked",
    /// `TASK_` state (Linux 5.14).
    task_state = "task_struct"."__state",
    /// One action for each signal.
    sighand_action = "sighand_struct"."action",
    /// The handler, or `SIG_DFL` or `SIG_IGN`.
    sigaction_handler = "k_sigaction"."sa.sa_handler",
    /// Number of the system call on x86.
    pt_regs_orig_ax = "pt_regs"."orig_ax",
    /// Number of the system call on arm64.
    pt_regs_syscallno = "pt_regs"."syscallno",
    /// The user namespace.
    cred_user_ns = "cred"."user_ns",
    /// Depth of the user namespace; 0 for the initial one.
    user_ns_level = "user_namespace"."level",
    /// The namespace in which this one was created.
    user_ns_parent = "user_namespace"."parent",
    /// Effective uid of the process that created the namespace.
    user_ns_owner = "user_namespace"."owner",
}

/// Number of the offset fields that come from BTF, before `upid_bytes`.
pub const MEMBER_COUNT: usize = MEMBERS.len();
