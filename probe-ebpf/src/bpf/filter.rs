//! The part of the stream's filter that exits and starts share: targets and users.

use probe_ebpf::{
    config::{CGROUP_SLOTS, FILTER_PIDS, FILTER_UID},
    event::Task,
};

use crate::{
    globals,
    maps::{CGROUPS, PIDS},
};

/// Whether the current task is in one of the selected subtrees, or none is selected.
#[inline(always)]
pub(crate) fn admits_current_cgroup() -> bool {
    let slots = globals::filter_cgroup_slots();
    if slots == 0 {
        return true;
    }
    for slot in 0..CGROUP_SLOTS {
        if slot < slots && CGROUPS.current_task_under_cgroup(slot) == Ok(true) {
            return true;
        }
    }
    false
}

/// Whether the filter selects the process and its user.
#[inline(always)]
pub(crate) fn admits(task: &Task) -> bool {
    let flags = globals::filter_flags();
    !(flags & FILTER_UID != 0 && task.uid != globals::filter_uid()
        || flags & FILTER_PIDS != 0 && PIDS.get_ptr(task.pid).is_none())
}
