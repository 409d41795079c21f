//! The numbers of a task in the pid namespace of the reader.
//!
//! A task has a number in its own pid namespace and in each one above. Where the reader is in
//! the initial namespace, the numbers are members of the task, and the verifier removes the
//! loop over the namespaces.

use probe_ebpf::config::INITIAL_PID_NS;

use super::Task;
use crate::{
    globals::{self, offset},
    memory::{PROBED, follow, read},
};

/// Limit of the nesting of pid namespaces: `MAX_PID_NS_LEVEL`, since 3.7.
const MAX_LEVEL: u32 = 32;

/// The numbers of a task, of its thread group, and of the thread group of its real parent;
/// 0 for what has no number there.
#[inline(always)]
pub(crate) fn of<const ACCESS: bool>(task: Task<ACCESS>, leader: Task<PROBED>) -> [u32; 3] {
    let parent = leader.real_parent();
    if globals::reader_pid_ns() == INITIAL_PID_NS {
        return [task.tid(), task.tgid(), parent.tgid()];
    }
    [number(task), number(leader), number(parent.leader())]
}

/// The number of the thread group of a task; 0 if it has none there.
#[inline(always)]
pub(crate) fn of_group<const ACCESS: bool>(task: Task<ACCESS>) -> u32 {
    if globals::reader_pid_ns() == INITIAL_PID_NS {
        return task.tgid();
    }
    number(task.leader())
}

/// Searches the namespaces of a task, outermost first, for that of the reader.
#[inline(always)]
fn number<const ACCESS: bool>(task: Task<ACCESS>) -> u32 {
    let wanted = globals::reader_pid_ns();
    // A member that cannot be read is 0 too.
    if wanted == 0 {
        return 0;
    }
    let pid: u64 = read::<PROBED, _>(task.0, offset!(task_thread_pid));
    let level: u32 = read::<PROBED, _>(pid, offset!(pid_level));
    let mut upid = pid.wrapping_add(u64::from(offset!(pid_numbers)));
    for at in 0..=MAX_LEVEL {
        if at > level {
            break;
        }
        if follow::<PROBED, u32>(upid, offset!(upid_ns), offset!(pid_ns_inum)) == wanted {
            return read::<PROBED, _>(upid, offset!(upid_nr));
        }
        upid = upid.wrapping_add(u64::from(offset!(upid_bytes)));
    }
    0
}
