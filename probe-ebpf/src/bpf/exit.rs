//! `sched_process_exit`: the one hook that every task passes, however it dies.
//!
//! Rejected alternatives: `sys_enter_exit*` misses death by signal,
//! `sched_process_free` comes an RCU grace period late with an arbitrary
//! `current`, and some kernels refuse fentry on `do_exit`. The tracepoint runs in
//! the dying task on every version, when the status is final and the task is *still
//! in its cgroup*. An exit record is therefore a hint, never a verdict.

use aya_ebpf::{
    EbpfContext,
    macros::{raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use probe_ebpf::{
    config::{FILTER_AGE, FILTER_FAILED, FILTER_OOM, FILTER_SIGNALED, FILTER_THREADS},
    counter::STREAM_DROPPED,
    event::{
        self, EXIT_CGROUP_UNTESTED, EXIT_GROUP_DEAD, EXIT_KILLER_FORGOTTEN, EXIT_KILLER_KNOWN,
        EXIT_LEADER, EXIT_OOM_VICTIM, EXIT_STATUS_KNOWN, Exit, KIND_EXIT, Killer, UNKNOWN,
    },
};

use crate::{current, emit, filter, globals, membership, oom, signal, task::Task};

/// Linux 6.16 and later, where an argument says whether the task is the last of its
/// group.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn exit_group_dead(ctx: RawTracePointContext) -> i32 {
    exit(&ctx, Task::current_typed(), is_group_dead(&ctx));
    0
}

/// [`exit_group_dead`] for a kernel that has no BTF of its own.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn exit_group_dead_probed(ctx: RawTracePointContext) -> i32 {
    exit(&ctx, Task::current(), is_group_dead(&ctx));
    0
}

/// Linux 5.11 to 6.15. The kernel decrements `live` before the tracepoint, so the last
/// task sees 0. A slower task before it can see 0 as well: then the group is reported
/// twice, and the reader drops the second record. The reader cannot tell whether a
/// lost record is such a second one.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn exit_live(ctx: RawTracePointContext) -> i32 {
    let task = Task::current_typed();
    exit(&ctx, task, is_last(task));
    0
}

/// [`exit_live`] for Linux before 5.11, or a kernel that has no BTF of its own.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn exit_live_probed(ctx: RawTracePointContext) -> i32 {
    let task = Task::current();
    exit(&ctx, task, is_last(task));
    0
}

/// Linux 7.0 and later, where a task may be preempted inside a raw program, and the
/// kernel skips the program for tasks that exit on that CPU meanwhile. The handler of a
/// classic tracepoint is not preempted. Only tracefs says where its arguments lie, so
/// the program reads `live` instead.
#[tracepoint]
pub(crate) fn exit_classic(ctx: TracePointContext) -> u32 {
    let task = Task::current_typed();
    exit(&ctx, task, is_last(task));
    0
}

#[inline(always)]
fn is_group_dead(ctx: &RawTracePointContext) -> bool {
    ctx.arg::<u64>(1) & 1 != 0
}

#[inline(always)]
fn is_last<const ACCESS: bool>(task: Task<ACCESS>) -> bool {
    if globals::can_read_tasks() {
        return task.group().live() == 0;
    }
    // Without offsets the exit of the leader is the best approximation.
    let (tgid, tid) = current::ids();
    tgid == tid
}

/// `task` is `current`: the tracepoint runs in the dying task on every version.
#[inline(always)]
fn exit<const ACCESS: bool>(ctx: &impl EbpfContext, task: Task<ACCESS>, group_dead: bool) {
    let flags = globals::filter_flags();
    if !group_dead && flags & FILTER_THREADS == 0 {
        oom::pass_mark_to_group();
        return;
    }
    let is_apart = globals::can_read_tasks()
        && globals::filter_cgroup_slots() != 0
        && membership::is_apart(Task::current());
    // A number and no condition: if the verifier knew which way a later branch goes, it would walk
    // through everything in between once for each way.
    let untested = u32::from(is_apart) * EXIT_CGROUP_UNTESTED;
    if untested == 0 && !filter::admits_current_cgroup() {
        return;
    }
    let mut record = if globals::can_read_tasks() {
        describe(task, group_dead)
    } else {
        describe_without_offsets(group_dead)
    };
    record.flags |= untested;
    if passes(flags, &record) {
        emit::stream(ctx, record, STREAM_DROPPED);
    }
}

#[inline(always)]
fn describe<const ACCESS: bool>(task: Task<ACCESS>, group_dead: bool) -> Exit {
    let leader = task.leader();
    let group = task.group();
    // This loop comes before every branch: the verifier would walk through the loop once
    // for each path that leads to it.
    let [user_ns, system_ns, runtime_ns] = group.times(task);
    let described = task.describe(leader);
    let hierarchy = described.cgroup_hierarchy;
    let task_cgroup_id = membership::id_unlike_leader(task.probed(), leader.probed(), hierarchy);
    let tid = task.tid();
    let mut flags = EXIT_STATUS_KNOWN;
    if tid == described.tgid {
        flags |= EXIT_LEADER;
    }
    let exit_code = if group_dead {
        flags |= EXIT_GROUP_DEAD;
        group.status(leader)
    } else {
        task.status()
    };
    let mut killer = NO_KILLER;
    if group_dead && signal_in(exit_code) != 0 {
        if oom::is_marked(&described, tid) {
            flags |= EXIT_OOM_VICTIM;
        }
        if let Some(found) = signal::find(&described, signal_in(exit_code), group.is_alone()) {
            killer = found;
            flags |= EXIT_KILLER_KNOWN;
        } else if signal_in(exit_code) != signal::SIGKILL
            && signal::may_be_forgotten(described.start_boottime_ns)
        {
            flags |= EXIT_KILLER_FORGOTTEN;
        }
    }
    Exit {
        header: emit::header(KIND_EXIT),
        task: described,
        exit_code,
        flags,
        user_ns,
        system_ns,
        runtime_ns,
        max_rss_pages: group.max_rss_pages(),
        killer,
        task_cgroup_id: if task_cgroup_id == described.cgroup_id {
            0
        } else {
            task_cgroup_id
        },
        task_start_boottime_ns: task.start_boottime_ns(),
        task_comm: task.comm(),
    }
}

/// The signal in a raw wait status; 0 for a normal exit.
#[inline(always)]
const fn signal_in(exit_code: u32) -> u32 {
    exit_code & 0x7f
}

const NO_KILLER: Killer = Killer {
    tgid: 0,
    uid: 0,
    signal: 0,
    code: 0,
    flags: 0,
    syscall: UNKNOWN,
    pid: 0,
    reserved: 0,
    comm: [0; event::COMM_BYTES],
};

#[inline(always)]
fn describe_without_offsets(group_dead: bool) -> Exit {
    let described = current::describe();
    let mut flags = 0;
    if group_dead {
        flags |= EXIT_GROUP_DEAD;
    }
    let (tgid, tid) = current::ids();
    if tid == tgid {
        flags |= EXIT_LEADER;
    }
    Exit {
        header: emit::header(KIND_EXIT),
        task: described,
        exit_code: 0,
        flags,
        user_ns: 0,
        system_ns: 0,
        runtime_ns: 0,
        max_rss_pages: 0,
        killer: NO_KILLER,
        task_cgroup_id: 0,
        task_start_boottime_ns: 0,
        task_comm: described.comm,
    }
}

/// Whether the out-of-memory killer may have chosen the process. The mark can come after
/// the exit; the reader looks for it again.
#[inline(always)]
fn may_be_oom_victim(exit: &Exit) -> bool {
    exit.flags & EXIT_OOM_VICTIM != 0
        || signal_in(exit.exit_code) == signal::SIGKILL
            && exit.flags & EXIT_KILLER_KNOWN != 0
            && exit.killer.code == signal::SI_KERNEL
}

#[inline(always)]
fn passes(filter: u32, exit: &Exit) -> bool {
    let wants = |flag: u32| filter & flag != 0;
    let status_known = exit.flags & EXIT_STATUS_KNOWN != 0;
    let age_ns = exit
        .header
        .boottime_ns
        .saturating_sub(exit.task.start_boottime_ns);
    !(wants(FILTER_FAILED) && status_known && exit.exit_code == 0
        || wants(FILTER_SIGNALED) && status_known && signal_in(exit.exit_code) == 0
        || wants(FILTER_OOM) && status_known && !may_be_oom_victim(exit)
        || !filter::admits(&exit.task)
        || wants(FILTER_AGE) && status_known && !globals::filter_age_passes(age_ns))
}
