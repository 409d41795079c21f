//! A task and its thread group, read from their kernel structs.

pub(crate) mod numbers;
mod siginfo;
mod times;

use probe_ebpf::event::{self, ARGS_BYTES, COMM_BYTES, UNKNOWN};

pub(crate) use self::siginfo::{SIG_DFL, Siginfo, handler, is_queued, si_code, si_pid};
use crate::{
    current,
    globals::{self, offset},
    membership,
    memory::{self, DIRECT, PROBED, follow, read},
    user_namespace,
};

/// `TASK_NEW`, the state of a task that has not run yet, since 4.8.
const TASK_NEW: u32 = 0x800;
/// `PF_EXITING`, since 2.6.
const PF_EXITING: u32 = 0x4;
/// `SIGNAL_GROUP_EXIT`: `group_exit_code` is the status.
const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// A `task_struct`, by its kernel address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task<const ACCESS: bool>(u64);

impl Task<PROBED> {
    #[inline(always)]
    pub(crate) const fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self(current::task())
    }

    /// The innermost pid namespace: depth, pid of the task in it, inode number.
    #[inline(always)]
    pub(crate) fn innermost_pid(self) -> (u32, u32, u32) {
        let numbers = offset!(pid_numbers);
        let stride = offset!(upid_bytes);
        if numbers == UNKNOWN || stride == UNKNOWN {
            return (0, 0, 0);
        }
        let pid: u64 = read::<PROBED, _>(self.0, offset!(task_thread_pid));
        let level: u32 = read::<PROBED, _>(pid, offset!(pid_level));
        let upid = pid
            .wrapping_add(u64::from(numbers))
            .wrapping_add(u64::from(level) * u64::from(stride));
        let inum = follow::<PROBED, _>(upid, offset!(upid_ns), offset!(pid_ns_inum));
        (level, read::<PROBED, _>(upid, offset!(upid_nr)), inum)
    }
}

impl Task<DIRECT> {
    #[inline(always)]
    pub(crate) fn current_typed() -> Self {
        Self(current::typed_task())
    }
}

impl<const ACCESS: bool> Task<ACCESS> {
    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        read::<ACCESS, _>(self.0, offset!(task_pid))
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        read::<ACCESS, _>(self.0, offset!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        Self(read::<ACCESS, _>(self.0, offset!(task_group_leader)))
    }

    #[inline(always)]
    pub(crate) fn real_parent(self) -> Self {
        Self(read::<ACCESS, _>(self.0, offset!(task_real_parent)))
    }

    /// Thread group of the tracer; 0 if the task is not traced.
    #[inline(always)]
    pub(crate) fn tracer(self) -> u32 {
        let flags: u32 = read::<ACCESS, _>(self.0, offset!(task_ptrace));
        if flags == 0 {
            return 0;
        }
        Self(read::<ACCESS, _>(self.0, offset!(task_parent))).tgid()
    }

    /// The same task for reads that are probed. A pointer that is loaded from a typed one costs
    /// the verifier up to 10 ms, because it searches the kernel's BTF from end to end, several
    /// times; a probed read costs a task 20 ns.
    #[inline(always)]
    pub(crate) const fn probed(self) -> Task<PROBED> {
        Task(self.0)
    }

    /// The thread group. A program should call this once, for the reason that
    /// [`Task::probed`] gives.
    #[inline(always)]
    pub(crate) fn group(self) -> Group<ACCESS> {
        Group(read::<ACCESS, _>(self.0, offset!(task_signal)))
    }

    #[inline(always)]
    pub(crate) fn start_boottime_ns(self) -> u64 {
        read::<ACCESS, _>(self.0, offset!(task_start_boottime))
    }

    #[inline(always)]
    pub(crate) fn is_exiting(self) -> bool {
        read::<ACCESS, u32>(self.0, offset!(task_flags)) & PF_EXITING != 0
    }

    /// Whether the current task is creating this one, which has not run yet.
    #[inline(always)]
    pub(crate) fn is_being_created(self) -> bool {
        let state: u32 = read::<ACCESS, _>(self.0, offset!(task_state));
        let current = Task::<PROBED>::current();
        let parent = self.real_parent().0;
        // With CLONE_PARENT both have the same parent.
        state & TASK_NEW != 0 && (parent == current.0 || parent == current.real_parent().0)
    }

    /// Address of the `mm_struct`; 0 if the task has none.
    #[inline(always)]
    pub(crate) fn mm(self) -> u64 {
        read::<ACCESS, _>(self.0, offset!(task_mm))
    }

    /// Whether the task blocks a signal.
    #[inline(always)]
    pub(crate) fn blocks(self, signal: u32) -> bool {
        let blocked: u64 = read::<ACCESS, _>(self.0, offset!(task_blocked));
        blocked >> (signal.wrapping_sub(1) & 63) & 1 != 0
    }

    /// Whether the process handles or ignores a signal.
    #[inline(always)]
    pub(crate) fn has_handler(self, signal: u32) -> bool {
        let sighand: u64 = read::<ACCESS, _>(self.0, offset!(task_sighand));
        let index = u64::from(signal.wrapping_sub(1) & 63);
        let action = sighand
            .wrapping_add(u64::from(offset!(sighand_action)))
            .wrapping_add(index * u64::from(offset!(sigaction_bytes)));
        handler(action) != SIG_DFL
    }

    /// Raw wait status of this task alone.
    #[inline(always)]
    pub(crate) fn status(self) -> u32 {
        read::<ACCESS, _>(self.0, offset!(task_exit_code))
    }

    /// Pid of this task in the innermost pid namespace of another one; 0 if it has none
    /// there. The other task can see this one, so their namespaces have one line of
    /// ancestors.
    #[inline(always)]
    pub(crate) fn pid_as_seen_by(self, other: Self) -> u32 {
        let of_other: u64 = read::<ACCESS, _>(other.0, offset!(task_thread_pid));
        let level: u32 = read::<ACCESS, _>(of_other, offset!(pid_level));
        let pid: u64 = read::<ACCESS, _>(self.0, offset!(task_thread_pid));
        let own_level: u32 = read::<ACCESS, _>(pid, offset!(pid_level));
        let numbers = offset!(pid_numbers);
        let stride = offset!(upid_bytes);
        if numbers == UNKNOWN || stride == UNKNOWN || own_level < level {
            return 0;
        }
        let upid = pid
            .wrapping_add(u64::from(numbers))
            .wrapping_add(u64::from(level) * u64::from(stride));
        read::<PROBED, _>(upid, offset!(upid_nr))
    }

    /// The name, NUL padded.
    #[inline(always)]
    pub(crate) fn comm(self) -> [u8; COMM_BYTES] {
        let offset = offset!(task_comm);
        if offset == UNKNOWN {
            return [0; COMM_BYTES];
        }
        let halves: [u64; 2] = [
            read::<ACCESS, _>(self.0, offset),
            read::<ACCESS, _>(self.0, offset.wrapping_add(8)),
        ];
        zerocopy::transmute!(halves)
    }

    /// The part of a record that describes a task. The kernel files a process by the cgroup
    /// of its leader, and so do records: threads may be in other cgroups.
    #[inline(always)]
    pub(crate) fn describe(self, leader: Self) -> event::Task {
        // Its loops come before every branch, as those of the times do.
        let probed = leader.probed();
        let [tid, pid, ppid] = numbers::of(self, probed);
        let (_, ns_pid, pid_ns) = probed.innermost_pid();
        let cgroup = membership::primary(probed);
        let cred: u64 = read::<PROBED, _>(leader.0, offset!(task_real_cred));
        let [user_ns_owner, user_ns_top_owner] = user_namespace::owners(cred);
        event::Task {
            tid,
            tgid: self.tgid(),
            ppid,
            uid: read::<PROBED, _>(cred, offset!(cred_uid)),
            start_boottime_ns: leader.start_boottime_ns(),
            cgroup_id: cgroup.id,
            wanted_cgroup_id: membership::id_in(probed, globals::filter_hierarchy()),
            cgroup_hierarchy: cgroup.hierarchy,
            ns_pid,
            pid_ns,
            user_ns_owner,
            user_ns_top_owner,
            pid,
            comm: leader.comm(),
        }
    }

    /// Copies the arguments of the current task, and returns their length (0 if they
    /// cannot be read) and whether they were cut off.
    #[inline(always)]
    pub(crate) fn read_args(self, args: &mut [u8; ARGS_BYTES]) -> (u32, bool) {
        let mm: u64 = read::<ACCESS, _>(self.0, offset!(task_mm));
        let start: u64 = read::<ACCESS, _>(mm, offset!(mm_arg_start));
        let end: u64 = read::<ACCESS, _>(mm, offset!(mm_arg_end));
        let wanted = end.saturating_sub(start);
        let len = wanted.min(ARGS_BYTES as u64) as u32;
        if memory::read_user(start, args, len) {
            (len, wanted > u64::from(len))
        } else {
            (0, false)
        }
    }

    /// Address of the `css_set`.
    #[inline(always)]
    pub(crate) fn css_set(self) -> u64 {
        read::<PROBED, _>(self.0, offset!(task_cgroups))
    }
}

/// A thread group, by the `signal_struct` that its tasks share.
#[derive(Clone, Copy)]
pub(crate) struct Group<const ACCESS: bool>(u64);

impl<const ACCESS: bool> Group<ACCESS> {
    /// Tasks that have not begun to exit.
    #[inline(always)]
    pub(crate) fn live(self) -> u32 {
        read::<ACCESS, _>(self.0, offset!(signal_live))
    }

    /// Whether only one task is left: all others were released, so none is exiting.
    #[inline(always)]
    pub(crate) fn is_alone(self) -> bool {
        read::<ACCESS, u32>(self.0, offset!(signal_nr_threads)) == 1
    }

    /// Whether the status of the group is decided: from now on all its tasks end.
    #[inline(always)]
    pub(crate) fn is_ending(self) -> bool {
        let flags: u32 = read::<ACCESS, _>(self.0, offset!(signal_flags));
        flags & SIGNAL_GROUP_EXIT != 0
    }

    /// The signal in the status of a group that is ending; 0 if it calls `exit`.
    #[inline(always)]
    pub(crate) fn signal(self) -> u32 {
        read::<ACCESS, u32>(self.0, offset!(signal_group_exit_code)) & 0x7f
    }

    /// Raw wait status of the whole group, as `wait_task_zombie` computes it:
    /// <https://elixir.bootlin.com/linux/v6.12/source/kernel/exit.c#L1184>
    #[inline(always)]
    pub(crate) fn status(self, leader: Task<ACCESS>) -> u32 {
        if self.is_ending() {
            read::<ACCESS, _>(self.0, offset!(signal_group_exit_code))
        } else {
            leader.status()
        }
    }

    #[inline(always)]
    pub(crate) fn max_rss_pages(self) -> u64 {
        read::<ACCESS, _>(self.0, offset!(signal_maxrss))
    }
}
