//! The siginfo of a signal, and the action of a process.

use crate::{
    globals::offset,
    memory::{PROBED, read},
};

pub(crate) const SIG_DFL: u64 = 0;
const SI_TIMER: i32 = -2;

/// The part of a siginfo that tells pending signals apart.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Siginfo {
    pub(crate) code: i32,
    /// Sender in the namespace of the target, for a signal that a process sent.
    pub(crate) pid: u32,
}

impl Siginfo {
    /// What a task gets for a signal whose siginfo found no room in the queue.
    pub(crate) const NONE: Self = Self { code: 0, pid: 0 };

    /// Whether the `kernel_siginfo` at this address is the same.
    #[inline(always)]
    pub(crate) fn is_at(self, info: u64) -> bool {
        let has_pid = self.code <= 0 && self.code != SI_TIMER;
        si_code(info) == self.code && (!has_pid || si_pid(info) == self.pid)
    }
}

/// `si_code` of a `kernel_siginfo`.
#[inline(always)]
pub(crate) fn si_code(info: u64) -> i32 {
    read::<PROBED, _>(info, offset!(siginfo_si_code))
}

/// `si_pid` of a `kernel_siginfo`.
#[inline(always)]
pub(crate) fn si_pid(info: u64) -> u32 {
    read::<PROBED, _>(info, offset!(siginfo_si_pid))
}

/// Whether a `kernel_siginfo` is part of a queued signal, and not what the kernel copies
/// into the queue: a process cannot pretend this, because its siginfo is on a kernel stack.
#[inline(always)]
pub(crate) fn is_queued(info: u64) -> bool {
    let node = info
        .wrapping_sub(u64::from(offset!(sigqueue_info)))
        .wrapping_add(u64::from(offset!(sigqueue_list)));
    let next: u64 = read::<PROBED, _>(node, 0);
    // `list_head.prev` follows `list_head.next`.
    read::<PROBED, u64>(next, 8) == node
}

/// The handler in a `k_sigaction`, [`SIG_DFL`] or `SIG_IGN`.
#[inline(always)]
pub(crate) fn handler(action: u64) -> u64 {
    read::<PROBED, _>(action, offset!(sigaction_handler))
}
