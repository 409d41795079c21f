//! The current task, as BPF helpers describe it without any struct offset.
//!
//! # Safety
//!
//! The helpers called here have no precondition.
#![expect(unsafe_code, reason = "helpers, see the module's Safety section")]

use aya_ebpf::helpers;
use probe_ebpf::{
    config::INITIAL_PID_NS,
    event::{self, COMM_BYTES, UNKNOWN},
};

use crate::globals;

use crate::{
    globals::offset,
    memory::{PROBED, read},
};

/// Describes the current task without any struct offset.
#[inline(always)]
pub(crate) fn describe() -> event::Task {
    let (tgid, tid) = ids();
    // Without offsets the number of a task is known only in the initial pid namespace.
    let has_numbers = globals::reader_pid_ns() == INITIAL_PID_NS;
    event::Task {
        tid: if has_numbers { tid } else { 0 },
        tgid,
        ppid: UNKNOWN,
        uid: uid(),
        start_boottime_ns: 0,
        cgroup_id: v2_cgroup(),
        wanted_cgroup_id: 0,
        cgroup_hierarchy: 0,
        ns_pid: 0,
        pid_ns: 0,
        user_ns_owner: UNKNOWN,
        user_ns_top_owner: UNKNOWN,
        pid: if has_numbers { tgid } else { 0 },
        comm: comm(),
    }
}

/// Thread group and task.
#[inline(always)]
pub(crate) fn ids() -> (u32, u32) {
    let ids = helpers::bpf_get_current_pid_tgid();
    ((ids >> 32) as u32, ids as u32)
}

/// Real uid in the initial user namespace.
#[inline(always)]
pub(crate) fn uid() -> u32 {
    helpers::bpf_get_current_uid_gid() as u32
}

#[inline(always)]
pub(crate) fn comm() -> [u8; COMM_BYTES] {
    helpers::bpf_get_current_comm().unwrap_or_default()
}

#[inline(always)]
fn v2_cgroup() -> u64 {
    // SAFETY: see the module.
    unsafe { helpers::generated::bpf_get_current_cgroup_id() }
}

#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: see the module.
    unsafe { helpers::generated::bpf_get_smp_processor_id() }
}

#[inline(always)]
pub(crate) fn boottime_ns() -> u64 {
    // SAFETY: see the module.
    unsafe { helpers::generated::bpf_ktime_get_boot_ns() }
}

/// Low 64 bits of the kernel's tick count (Linux 5.6).
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: see the module.
    unsafe { helpers::generated::bpf_jiffies64() }
}

/// Address of the `task_struct`.
#[inline(always)]
pub(crate) fn task() -> u64 {
    // SAFETY: see the module.
    unsafe { helpers::generated::bpf_get_current_task() }
}

/// Address of the `task_struct` as a typed pointer for the verifier (Linux 5.11).
#[inline(always)]
pub(crate) fn typed_task() -> u64 {
    // SAFETY: see the module.
    unsafe { helpers::generated::bpf_get_current_task_btf() as u64 }
}

/// Number of the system call in which the current task is; see
/// [`Killer::syscall`](event::Killer::syscall).
#[inline(always)]
pub(crate) fn syscall() -> u32 {
    let offset = offset!(syscall_number);
    if offset == UNKNOWN {
        return UNKNOWN;
    }
    let task = typed_task() as *mut _;
    // SAFETY: see the module; the verifier checks the type of the pointer (Linux 5.15).
    let registers = unsafe { helpers::generated::bpf_task_pt_regs(task) };
    read::<PROBED, _>(registers.cast_unsigned(), offset)
}
