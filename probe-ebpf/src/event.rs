//! Records as they lie in the ring buffers, in the byte order of the machine.
//!
//! The records consist of fixed-width integers and byte arrays. A field that the
//! BPF programs could not read holds the sentinel named at the field. Kinds and
//! flags are integers here and become enums in userspace.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`Header::kind`] of an [`Exit`].
pub const KIND_EXIT: u32 = 1;
/// [`Header::kind`] of a [`Fork`].
pub const KIND_FORK: u32 = 2;
/// [`Header::kind`] of an [`Exec`].
pub const KIND_EXEC: u32 = 3;
/// [`Header::kind`] of a [`CgroupChange`]: the subtree lost its last task.
pub const KIND_CGROUP_EMPTY: u32 = 4;
/// [`Header::kind`] of a [`CgroupChange`]: the directory was removed.
pub const KIND_CGROUP_REMOVED: u32 = 5;
/// [`Header::kind`] of a [`CgroupCreated`].
pub const KIND_CGROUP_CREATED: u32 = 6;
/// [`Header::kind`] of an [`Attach`].
pub const KIND_ATTACH: u32 = 7;

/// [`Header::kind`] of a [`Member`].
pub const KIND_MEMBER: u32 = 8;

/// Sentinel of a `u32` that could not be read: pid, uid, hierarchy.
pub const UNKNOWN: u32 = u32::MAX;

/// Bytes of `task_struct.comm`, the closing NUL included.
pub const COMM_BYTES: usize = 16;
/// Argument bytes that an [`Exec`] carries at most.
pub const ARGS_BYTES: usize = 1024;
/// Path bytes that a [`CgroupCreated`] carries at most.
pub const PATH_BYTES: usize = 1024;

/// [`Exit::flags`]: the task is the last of its thread group.
pub const EXIT_GROUP_DEAD: u32 = 1 << 0;
/// [`Exit::flags`]: the task is the group leader (tid = tgid).
pub const EXIT_LEADER: u32 = 1 << 1;
/// [`Exit::flags`]: the out-of-memory killer chose this thread group.
pub const EXIT_OOM_VICTIM: u32 = 1 << 2;
/// [`Exit::flags`]: [`Exit::exit_code`] and the times could be read.
pub const EXIT_STATUS_KNOWN: u32 = 1 << 3;
/// [`Exit::flags`]: [`Exit::killer`] was filled in.
pub const EXIT_KILLER_KNOWN: u32 = 1 << 4;
/// [`Exit::flags`]: the sender may have been known, but too many signals were pending to
/// remember it.
pub const EXIT_KILLER_FORGOTTEN: u32 = 1 << 5;

/// [`Killer::flags`]: sent to the thread group, not to one task.
pub const SIGNAL_TO_GROUP: u32 = 1 << 0;
/// [`Killer::flags`]: the sender gave no siginfo (`SEND_SIG_NOINFO`), as
/// `cgroup.kill` and parent-death signals do.
pub const SIGNAL_NO_INFO: u32 = 1 << 1;
/// [`Killer::flags`]: the sending task was itself exiting.
pub const SENDER_EXITING: u32 = 1 << 2;
/// [`Killer::flags`]: the sending task is init of a pid namespace that is not
/// the initial one.
pub const SENDER_NS_INIT: u32 = 1 << 3;
/// [`Killer::flags`]: the sending task traces the target.
pub const SENDER_IS_TRACER: u32 = 1 << 4;
/// [`Killer::flags`]: the sending task was creating the target, which has not run yet.
pub const SENDER_IS_CREATOR: u32 = 1 << 5;
/// [`Killer::flags`]: the siginfo that the kernel reported is the one in the queue, as only
/// that of a POSIX timer is.
pub const SIGINFO_IS_QUEUED: u32 = 1 << 6;
/// [`Killer::flags`]: sent by the out-of-memory killer to a process that shares the address
/// space of its victim.
pub const SIGNAL_OF_OOM: u32 = 1 << 7;

/// [`Exit::flags`]: the task is in another v2 cgroup than its group leader, so the programs
/// have not tested the leader's cgroup.
pub const EXIT_CGROUP_UNTESTED: u32 = 1 << 6;

/// The start of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Header {
    /// One of the `KIND_` constants.
    pub kind: u32,
    /// The CPU that wrote the record.
    pub cpu: u32,
    /// Exits and starts that this CPU had dropped by then. A reader that saw a smaller
    /// number before knows how many are missing, and where.
    pub dropped: u64,
    /// `CLOCK_BOOTTIME` when the hook ran, in nanoseconds.
    pub boottime_ns: u64,
}

/// A task and the identity of its thread group.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Task {
    /// The task, by its number in the reader's pid namespace; 0 if it has none there.
    pub tid: u32,
    /// Thread group of the task, by its number in the initial pid namespace: with its start it
    /// identifies a process of the machine.
    pub tgid: u32,
    /// Thread group of the group leader's real parent, by its number in the reader's pid
    /// namespace; 0 if it has none there; [`UNKNOWN`].
    pub ppid: u32,
    /// Real uid in the initial user namespace; [`UNKNOWN`].
    pub uid: u32,
    /// Start of the group leader in `CLOCK_BOOTTIME` nanoseconds; 0 unknown.
    pub start_boottime_ns: u64,
    /// Inode of the cgroup directory of the group leader; 0 unknown.
    pub cgroup_id: u64,
    /// The leader's cgroup in the hierarchy that the filter asks for; 0 if none is asked
    /// for or it could not be read.
    pub wanted_cgroup_id: u64,
    /// 0 for v2, else the v1 hierarchy id (first field of `/proc/PID/cgroup`);
    /// [`UNKNOWN`].
    pub cgroup_hierarchy: u32,
    /// The thread group's pid in its own pid namespace; 0 unknown.
    pub ns_pid: u32,
    /// Inode number of that pid namespace; 0 unknown.
    pub pid_ns: u32,
    /// Owner of the group leader's user namespace, a uid in the initial one;
    /// [`UNKNOWN`] also for the initial namespace itself.
    pub user_ns_owner: u32,
    /// Owner of that namespace's ancestor directly below the initial one;
    /// [`UNKNOWN`] also for the initial namespace itself.
    pub user_ns_top_owner: u32,
    /// The thread group, by its number in the reader's pid namespace; 0 if it has none there.
    pub pid: u32,
    /// Name of the group leader, NUL padded.
    pub comm: [u8; COMM_BYTES],
}

/// The signal that ended a thread group, and the task that was current when it was sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Killer {
    /// Thread group of the task that was current, by its number in the initial pid namespace;
    /// it is the sender only of a signal that a process sent.
    pub tgid: u32,
    /// Real uid of that task in the initial user namespace.
    pub uid: u32,
    /// Signal number, 1 to 64.
    pub signal: u32,
    /// `si_code`; 0 (`SI_USER`) where no siginfo was given.
    pub code: i32,
    /// `SIGNAL_`, `SIGINFO_` and `SENDER_` flags.
    pub flags: u32,
    /// Number of the system call in which the current task was, in the ABI that it used;
    /// [`UNKNOWN`]. Outside a system call this is another number.
    pub syscall: u32,
    /// That thread group, by its number in the reader's pid namespace; 0 if it has none there.
    pub pid: u32,
    /// Always 0.
    pub reserved: u32,
    /// Name of the task that was current, NUL padded.
    pub comm: [u8; COMM_BYTES],
}

/// Value of the map of processes that the out-of-memory killer chose.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OomMark {
    /// Start of the victim's group in `CLOCK_BOOTTIME` nanoseconds; 0 where the
    /// kernel passed only a tid.
    pub start_boottime_ns: u64,
    /// Time of the choice in `CLOCK_BOOTTIME` nanoseconds.
    pub marked_boottime_ns: u64,
}

impl OomMark {
    /// Whether the mark belongs to a process with this start time, and not to an
    /// earlier process with the same pid.
    #[must_use]
    pub const fn is_of(&self, start_boottime_ns: u64) -> bool {
        if self.start_boottime_ns == 0 {
            start_boottime_ns <= self.marked_boottime_ns
        } else {
            start_boottime_ns == self.start_boottime_ns
        }
    }
}

/// `sched_process_exit`: a task has *begun* to exit; it is still in its cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Exit {
    /// Kind [`KIND_EXIT`].
    pub header: Header,
    /// The task that exits.
    pub task: Task,
    /// Raw wait status: of the thread group if it is dead, else of the task.
    pub exit_code: u32,
    /// `EXIT_` flags.
    pub flags: u32,
    /// User time of the group in nanoseconds, by tick accounting.
    pub user_ns: u64,
    /// System time of the group in nanoseconds, by tick accounting.
    pub system_ns: u64,
    /// Exact run time of the group in nanoseconds, user and system together.
    pub runtime_ns: u64,
    /// Largest resident set of the group in pages.
    pub max_rss_pages: u64,
    /// Valid if [`EXIT_KILLER_KNOWN`] is set, else zero.
    pub killer: Killer,
    /// Cgroup of the task, in the hierarchy of [`Task::cgroup_hierarchy`]; 0 if it is
    /// that of the leader, or unknown.
    pub task_cgroup_id: u64,
    /// Start of the task in `CLOCK_BOOTTIME` nanoseconds; 0 unknown.
    pub task_start_boottime_ns: u64,
    /// Name of the task, NUL padded.
    pub task_comm: [u8; COMM_BYTES],
}

/// `sched_process_fork` of a new thread group (new threads are not reported).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Fork {
    /// Kind [`KIND_FORK`].
    pub header: Header,
    /// The child.
    pub task: Task,
}

/// `sched_process_exec`, followed by `args_len` bytes of `args` only.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Exec {
    /// Kind [`KIND_EXEC`].
    pub header: Header,
    /// The task, which already has its new name.
    pub task: Task,
    /// Valid bytes in `args`; 0 if they could not be read.
    pub args_len: u32,
    /// 1 if the arguments were longer than [`ARGS_BYTES`].
    pub args_truncated: u32,
    /// Arguments, each terminated by NUL.
    pub args: [u8; ARGS_BYTES],
}

/// A watched cgroup became empty ([`KIND_CGROUP_EMPTY`]) or was removed
/// ([`KIND_CGROUP_REMOVED`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CgroupChange {
    /// One of the two kinds.
    pub header: Header,
    /// The cgroup that changed.
    pub cgroup: CgroupKey,
}

/// `cgroup_mkdir` or `cgroup_rename`, followed by `path_len` bytes of `path` only.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CgroupCreated {
    /// Kind [`KIND_CGROUP_CREATED`].
    pub header: Header,
    /// The new cgroup.
    pub cgroup: CgroupKey,
    /// Inode of the parent's directory; 0 unknown.
    pub parent_id: u64,
    /// Valid bytes in `path`; 0 if it could not be read.
    pub path_len: u32,
    /// 1 if the path did not fit, and `path` has only its last component.
    pub is_name: u32,
    /// Path below the root of the hierarchy.
    pub path: [u8; PATH_BYTES],
}

/// `cgroup_attach_task`: a task (or its whole group) moved to another cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Attach {
    /// Kind [`KIND_ATTACH`].
    pub header: Header,
    /// The new cgroup of the task.
    pub cgroup: CgroupKey,
    /// The task that moved.
    pub task: Task,
    /// 1 if the whole thread group moved.
    pub whole_group: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A process entered a watched cgroup or a descendant of one, by a fork or by a move.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Member {
    /// Kind [`KIND_MEMBER`].
    pub header: Header,
    /// The watched cgroup.
    pub cgroup: CgroupKey,
    /// Thread group of the task, by its number in the pid namespace of the reader; 0 if it has none there.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
    /// Start of the group leader in `CLOCK_BOOTTIME` nanoseconds; 0 unknown.
    pub start_boottime_ns: u64,
}

/// Identity of a cgroup, and key of the map of watched cgroups.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CgroupKey {
    /// 0 for v2, else the v1 hierarchy id; [`UNKNOWN`] if it could not be read.
    pub hierarchy: u32,
    /// Always 0.
    pub reserved: u32,
    /// Inode of the directory.
    pub id: u64,
}

// A change of a size changes the contract: the committed objects must be rebuilt.
const _: () = {
    assert!(size_of::<Header>() == 24);
    assert!(size_of::<Task>() == 80);
    assert!(size_of::<Killer>() == 48);
    assert!(size_of::<OomMark>() == 16);
    assert!(size_of::<Exit>() == 224);
    assert!(size_of::<Fork>() == 104);
    assert!(size_of::<Exec>() == 112 + ARGS_BYTES);
    assert!(size_of::<CgroupChange>() == 40);
    assert!(size_of::<Member>() == 56);
    assert!(size_of::<CgroupCreated>() == 56 + PATH_BYTES);
    assert!(size_of::<Attach>() == 128);
    assert!(core::mem::offset_of!(Exit, task) == 24);
    assert!(core::mem::offset_of!(Exit, exit_code) == 104);
    assert!(core::mem::offset_of!(Exit, killer) == 144);
    assert!(core::mem::offset_of!(Exec, args) == 112);
    assert!(core::mem::offset_of!(CgroupCreated, path) == 56);
};
