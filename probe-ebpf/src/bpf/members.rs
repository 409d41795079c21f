//! Hooks that report each process that enters a watched cgroup or a descendant of one.
//!
//! A wait for processes needs every member, and a list of members is no proof: a process may
//! enter after the list was read, and leave alive before the next one. A process enters a
//! cgroup by a fork or by a move, and both pass a tracepoint before the process can leave
//! again. Moves out need no hook, because the reader holds every process that entered.
//!
//! In each hierarchy only the innermost watched cgroup is reported. The reader knows which
//! other watched cgroups are its ancestors.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_ebpf::{
    counter::MEMBERS_UNRECORDED,
    event::{CgroupKey, Header, KIND_MEMBER, Member, UNKNOWN},
};

use crate::{
    current, emit, map_value,
    maps::{COUNTERS, FOLLOWED, WATCHED},
    membership::{Cgroup, Links},
    memory::PROBED,
    task::{Task, numbers},
};

/// Limit of the depth of a cgroup. A run that reaches it is counted.
const MAX_DEPTH: u32 = 32;
/// Limit of the v1 cgroups that one run visits: those of the task, and in the followed
/// hierarchies all their ancestors. A run that reaches the limit is counted.
const MAX_VISITED: u32 = 80;
/// The bit of v2 in the mask of followed hierarchies.
const V2: u64 = 1;

/// Arguments: `parent`, `child`. The child is in its cgroups and does not run yet.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn member_forked(ctx: RawTracePointContext) -> i32 {
    let child = Task::at(ctx.arg(1));
    if map_value::word(&FOLLOWED) & V2 != 0 && enters(child) {
        report(child, Cgroup::v2_of(child));
    }
    0
}

/// [`member_forked`] for the v1 hierarchies. Only waits for v1 cgroups need it.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn member_forked_v1(ctx: RawTracePointContext) -> i32 {
    let hierarchies = map_value::word(&FOLLOWED) & !V2;
    let child = Task::at(ctx.arg(1));
    if hierarchies == 0 || !enters(child) {
        return 0;
    }
    let record = describe(child);
    let mut links = Links::of(child.css_set());
    let mut cgroup = Cgroup::at(0);
    // One loop goes through all hierarchies, because the verifier walks through a nested loop
    // once for each outer round.
    for _ in 0..MAX_VISITED {
        if cgroup.is_null() {
            cgroup = links.next();
            if cgroup.is_null() {
                return 0;
            }
            if hierarchies >> (cgroup.hierarchy() & 63) & 1 == 0 {
                cgroup = Cgroup::at(0);
                continue;
            }
        }
        let key = cgroup.key();
        cgroup = cgroup.parent();
        if WATCHED.get_ptr(key).is_some() {
            emit::member(&Member {
                cgroup: key,
                ..record
            });
            cgroup = Cgroup::at(0);
        }
    }
    map_value::add_one(&COUNTERS, MEMBERS_UNRECORDED);
    0
}

/// Arguments: `dst_cgrp`, `path`, `task`, `threadgroup`. The task is in the cgroup already.
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub(crate) fn member_moved(ctx: RawTracePointContext) -> i32 {
    if map_value::word(&FOLLOWED) != 0 {
        report(Task::at(ctx.arg(2)), Cgroup::at(ctx.arg(0)));
    }
    0
}

/// Whether a new task may be the first of its process in its cgroups. A thread mostly starts in
/// the cgroups of the task that makes it, where its process is a member already.
#[inline(always)]
fn enters(child: Task<PROBED>) -> bool {
    child.tid() == child.tgid() || child.css_set() != Task::current().css_set()
}

/// Reports the process of `task` if `cgroup` or an ancestor of it is watched.
#[inline(always)]
fn report(task: Task<PROBED>, mut cgroup: Cgroup) {
    // All ancestors are in one hierarchy.
    let mut key = cgroup.key();
    for _ in 0..MAX_DEPTH {
        if cgroup.is_null() {
            return;
        }
        if WATCHED.get_ptr(key).is_some() {
            emit::member(&Member {
                cgroup: key,
                ..describe(task)
            });
            return;
        }
        cgroup = cgroup.parent();
        key.id = cgroup.id();
    }
    map_value::add_one(&COUNTERS, MEMBERS_UNRECORDED);
}

/// The record of a process, without the cgroup.
#[inline(always)]
fn describe(task: Task<PROBED>) -> Member {
    Member {
        header: Header {
            kind: KIND_MEMBER,
            cpu: current::cpu(),
            dropped: 0,
            boottime_ns: current::boottime_ns(),
        },
        cgroup: CgroupKey {
            hierarchy: UNKNOWN,
            reserved: 0,
            id: 0,
        },
        tgid: numbers::of_group(task),
        reserved: 0,
        start_boottime_ns: task.leader().start_boottime_ns(),
    }
}
