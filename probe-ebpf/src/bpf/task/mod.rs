//! A task and its thread group: what their kernel structs say.

mod times;

use probe_ebpf::event::{self, ARGS_BYTES, COMM_BYTES, UNKNOWN};

use crate::{
    current,
    globals::{self, offset},
    membership,
    memory::{self, DIRECT, PROBED, follow, read},
    user_namespace,
};

/// `PF_EXITING`, since 2.6.
const PF_EXITING: u32 = 0x4;
/// `SIGNAL_GROUP_EXIT`: `group_exit_code` is the status.
const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// A `task_struct`, by its kernel address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task<const HOW: bool>(u64);

impl Task<PROBED> {
    #[inline(always)]
    pub(crate) const fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self(current::task())
    }
}

impl Task<DIRECT> {
    #[inline(always)]
    pub(crate) fn current_typed() -> Self {
        Self(current::typed_task())
    }
}

impl<const HOW: bool> Task<HOW> {
    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        read::<HOW, _>(self.0, offset!(task_pid))
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        read::<HOW, _>(self.0, offset!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        Self(read::<HOW, _>(self.0, offset!(task_group_leader)))
    }

    #[inline(always)]
    pub(crate) fn real_parent(self) -> Self {
        Self(read::<HOW, _>(self.0, offset!(task_real_parent)))
    }

    /// Thread group of its tracer; 0 if nobody traces it.
    #[inline(always)]
    pub(crate) fn tracer(self) -> u32 {
        let flags: u32 = read::<HOW, _>(self.0, offset!(task_ptrace));
        if flags == 0 {
            return 0;
        }
        Self(read::<HOW, _>(self.0, offset!(task_parent))).tgid()
    }

    /// To be asked once for each program: for every pointer that it loads from
    /// a typed one the verifier searches the kernel's BTF from end to end.
    #[inline(always)]
    pub(crate) fn group(self) -> Group<HOW> {
        Group(read::<HOW, _>(self.0, offset!(task_signal)))
    }

    #[inline(always)]
    pub(crate) fn start_boottime_ns(self) -> u64 {
        read::<HOW, _>(self.0, offset!(task_start_boottime))
    }

    #[inline(always)]
    pub(crate) fn is_exiting(self) -> bool {
        read::<HOW, u32>(self.0, offset!(task_flags)) & PF_EXITING != 0
    }

    /// Raw wait status of this task alone.
    #[inline(always)]
    pub(crate) fn status(self) -> u32 {
        read::<HOW, _>(self.0, offset!(task_exit_code))
    }

    /// Innermost pid namespace: its depth, the pid in it, its inode number.
    #[inline(always)]
    pub(crate) fn innermost_pid(self) -> (u32, u32, u32) {
        let pid: u64 = read::<HOW, _>(self.0, offset!(task_thread_pid));
        let level: u32 = read::<HOW, _>(pid, offset!(pid_level));
        let numbers = offset!(pid_numbers);
        let stride = offset!(upid_bytes);
        if numbers == UNKNOWN || stride == UNKNOWN {
            return (0, 0, 0);
        }
        if level == 0 {
            let at = |member: u32| numbers.wrapping_add(member);
            let namespace: u64 = read::<HOW, _>(pid, at(offset!(upid_ns)));
            let inum = read::<HOW, _>(namespace, offset!(pid_ns_inum));
            return (0, read::<HOW, _>(pid, at(offset!(upid_nr))), inum);
        }
        // An index that the verifier does not know: never a direct load.
        let pid: u64 = read::<PROBED, _>(self.0, offset!(task_thread_pid));
        let upid = pid
            .wrapping_add(u64::from(numbers))
            .wrapping_add(u64::from(level) * u64::from(stride));
        let inum = follow::<PROBED, _>(upid, offset!(upid_ns), offset!(pid_ns_inum));
        (level, read::<PROBED, _>(upid, offset!(upid_nr)), inum)
    }

    #[inline(always)]
    fn comm(self) -> [u8; COMM_BYTES] {
        let offset = offset!(task_comm);
        if offset == UNKNOWN {
            return [0; COMM_BYTES];
        }
        let halves: [u64; 2] = [
            read::<HOW, _>(self.0, offset),
            read::<HOW, _>(self.0, offset.wrapping_add(8)),
        ];
        zerocopy::transmute!(halves)
    }

    /// Everything that a record says of a task.
    #[inline(always)]
    pub(crate) fn describe(self, leader: Self) -> event::Task {
        let (_, ns_pid, pid_ns) = leader.innermost_pid();
        let cgroup = membership::named(self);
        // Once, as `group`.
        let cred: u64 = read::<HOW, _>(leader.0, offset!(task_real_cred));
        let [user_ns_owner, user_ns_top_owner] = user_namespace::owners(cred);
        event::Task {
            tid: self.tid(),
            tgid: self.tgid(),
            ppid: leader.real_parent().tgid(),
            uid: read::<HOW, _>(cred, offset!(cred_uid)),
            start_boottime_ns: leader.start_boottime_ns(),
            cgroup_id: cgroup.id,
            wanted_cgroup_id: membership::id_in(self, globals::filter_hierarchy()),
            cgroup_hierarchy: cgroup.hierarchy,
            ns_pid,
            pid_ns,
            user_ns_owner,
            user_ns_top_owner,
            reserved: 0,
            comm: leader.comm(),
        }
    }

    /// Copies the arguments of the current task; 0 if it has none.
    #[inline(always)]
    pub(crate) fn read_args(self, args: &mut [u8; ARGS_BYTES]) -> (u32, bool) {
        let mm: u64 = read::<HOW, _>(self.0, offset!(task_mm));
        let start: u64 = read::<HOW, _>(mm, offset!(mm_arg_start));
        let end: u64 = read::<HOW, _>(mm, offset!(mm_arg_end));
        let wanted = end.saturating_sub(start);
        let len = wanted.min(ARGS_BYTES as u64) as u32;
        if memory::read_user(start, args, len) {
            (len, wanted > u64::from(len))
        } else {
            (0, false)
        }
    }

    /// Address of the `css_set`, read in either way.
    #[inline(always)]
    pub(crate) fn css_set<const READ: bool>(self) -> u64 {
        read::<READ, _>(self.0, offset!(task_cgroups))
    }
}

/// What the tasks of a thread group share: a `signal_struct`.
#[derive(Clone, Copy)]
pub(crate) struct Group<const HOW: bool>(u64);

impl<const HOW: bool> Group<HOW> {
    /// Tasks that have not begun to exit.
    #[inline(always)]
    pub(crate) fn live(self) -> u32 {
        read::<HOW, _>(self.0, offset!(signal_live))
    }

    /// Whether no other task can be on its way out: those before were released.
    #[inline(always)]
    pub(crate) fn is_alone(self) -> bool {
        read::<HOW, u32>(self.0, offset!(signal_nr_threads)) == 1
    }

    /// Whether its status is decided: from here on all its tasks end.
    #[inline(always)]
    pub(crate) fn is_ending(self) -> bool {
        let flags: u32 = read::<HOW, _>(self.0, offset!(signal_flags));
        flags & SIGNAL_GROUP_EXIT != 0
    }

    /// Raw wait status of the whole group, as `wait_task_zombie` computes it:
    /// <https://elixir.bootlin.com/linux/v6.12/source/kernel/exit.c#L1184>
    #[inline(always)]
    pub(crate) fn status(self, leader: Task<HOW>) -> u32 {
        if self.is_ending() {
            read::<HOW, _>(self.0, offset!(signal_group_exit_code))
        } else {
            leader.status()
        }
    }

    #[inline(always)]
    pub(crate) fn max_rss_pages(self) -> u64 {
        read::<HOW, _>(self.0, offset!(signal_maxrss))
    }
}

/// `si_code` of a `kernel_siginfo`.
#[inline(always)]
pub(crate) fn si_code(info: u64) -> i32 {
    read::<PROBED, _>(info, offset!(siginfo_si_code))
}
