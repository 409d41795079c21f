//! Hooks that report each process that enters a watched cgroup or a descendant of one.
//!
//! A wait for processes needs every member, and a list of members is no proof: a process may
//! enter after the list was read, and leave alive before the next one. A process enters a
//! cgroup by a fork or by a move, and both pass a tracepoint before the process can leave
//! again. Moves out need no hook, because the reader holds every process that entered.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_ebpf::{
    counter::MEMBERS_UNRECORDED,
    event::{CgroupKey, KIND_MEMBER, Member},
};

use crate::{
    emit, map_value,
    maps::{COUNTERS, FOLLOWED, WATCHED},
    membership::{Cgroup, Links},
    memory::PROBED,
    task::{Task, numbers},
};

/// Limit of the cgroups that one run visits: those of the task in the followed hierarchies,
/// and all their ancestors. A run that reaches the limit is counted.
const MAX_VISITED: u32 = 128;

/// Arguments: `parent`, `child`. The child is in its cgroups and does not run yet.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn member_forked(ctx: RawTracePointContext) -> i32 {
    let hierarchies = map_value::word(&FOLLOWED);
    if hierarchies == 0 {
        return 0;
    }
    let child = Task::at(ctx.arg(1));
    let css_set = child.css_set::<PROBED>();
    // A thread mostly starts in the cgroups of the task that makes it, where its process is a
    // member already.
    let is_thread = child.tid() != child.tgid();
    if is_thread && css_set == Task::current().css_set::<PROBED>() {
        return 0;
    }
    report(&ctx, child, Cgroup::at(0), Links::of(css_set), hierarchies);
    0
}

/// Arguments: `dst_cgrp`, `path`, `task`, `threadgroup`. The task is in the cgroup already.
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub(crate) fn member_moved(ctx: RawTracePointContext) -> i32 {
    if map_value::word(&FOLLOWED) == 0 {
        return 0;
    }
    let to = Cgroup::at(ctx.arg(0));
    report(&ctx, Task::at(ctx.arg(2)), to, Links::none(), 0);
    0
}

/// Reports the process of `task` once for each watched cgroup among `cgroup`, the cgroups of
/// `links` in the hierarchies of the mask, and the ancestors of all these. One loop goes through
/// all of them, because the verifier walks through a nested loop once for each outer round.
#[inline(always)]
fn report(
    ctx: &RawTracePointContext,
    task: Task<PROBED>,
    mut cgroup: Cgroup<PROBED>,
    mut links: Links,
    hierarchies: u64,
) {
    // Its loop is not in the one below, which would make the verifier walk through it each time.
    let tgid = numbers::of_group(task);
    for _ in 0..MAX_VISITED {
        if cgroup.is_null() {
            cgroup = links.next();
            if cgroup.is_null() {
                return;
            }
            if hierarchies >> (cgroup.hierarchy() & 63) & 1 == 0 {
                cgroup = Cgroup::at(0);
                continue;
            }
        }
        let key = cgroup.key();
        if WATCHED.get_ptr(key).is_some() {
            emit_member(ctx, task, tgid, key);
        }
        cgroup = cgroup.parent();
    }
    map_value::add_one(&COUNTERS, MEMBERS_UNRECORDED);
}

#[inline(always)]
fn emit_member(ctx: &RawTracePointContext, task: Task<PROBED>, tgid: u32, cgroup: CgroupKey) {
    let record = Member {
        header: emit::header(KIND_MEMBER),
        cgroup,
        tgid,
        reserved: 0,
        start_boottime_ns: task.leader().start_boottime_ns(),
    };
    emit::decisive(ctx, record, false);
}
