//! `mark_victim`: the out-of-memory killer chose a process.
//!
//! The argument of the hook was a pid until 2024, when it became a task, in stable
//! kernels too (72ba14deb40a). The two cannot be confused: a pid is at most 2^22, and a
//! kernel address has its top bit set.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::warn;
use probe_ebpf::{
    counter::OOM_UNRECORDED,
    event::{self, OomMark},
};

use crate::{
    current,
    map_value::{self, SharedWord},
    maps::{COUNTERS, OOM_KILLS, OOM_VICTIMS, OomKill},
    memory::PROBED,
    task::Task,
};

/// Set once a mark by tid was made: only then does the exit of a single task have to
/// look for one.
static MARKED_BY_TID: SharedWord = SharedWord::new();

#[raw_tracepoint(tracepoint = "mark_victim")]
pub(crate) fn mark_victim(ctx: RawTracePointContext) -> i32 {
    let victim: u64 = ctx.arg(0);
    let mut mm = 0;
    let marked = if victim >> 63 != 0 {
        let task = Task::at(victim);
        mm = task.mm();
        mark(task.tgid(), task.leader().start_boottime_ns())
    } else {
        MARKED_BY_TID.set(1);
        mark(victim as u32, 0)
    };
    let kill = OomKill {
        mm,
        boottime_ns: current::boottime_ns(),
    };
    let _full = OOM_KILLS.insert(current::ids().1, kill, 0);
    if !marked && map_value::add_one(&COUNTERS, OOM_UNRECORDED) {
        warn!(
            &ctx,
            "victim map full: some OOM kills will look like others"
        );
    }
    0
}

/// Time within which the kernel kills the processes that share the address space of a
/// victim. It does so right after the mark; a task may be preempted meanwhile.
const SHARERS_WITHIN_NS: u64 = 1_000_000_000;

/// Whether a SIGKILL of the kernel, which the current task sends, is for a process that
/// shares the address space of a victim. The kernel does not mark such a process:
/// <https://elixir.bootlin.com/linux/v6.12/source/mm/oom_kill.c#L964>
#[inline(always)]
pub(crate) fn is_of_last_kill(target: Task<PROBED>) -> bool {
    let Some(kill) = map_value::lookup(&OOM_KILLS, &current::ids().1) else {
        return false;
    };
    let is_recent = current::boottime_ns().wrapping_sub(kill.boottime_ns) < SHARERS_WITHIN_NS;
    // The leader of the target may have lost its address space before the other tasks.
    let mm = target.mm();
    is_recent && (mm == 0 || kill.mm == 0 || mm == kill.mm)
}

#[inline(always)]
fn mark(id: u32, start_boottime_ns: u64) -> bool {
    let mark = OomMark {
        start_boottime_ns,
        marked_boottime_ns: current::boottime_ns(),
    };
    OOM_VICTIMS.insert(id, mark, 0).is_ok()
}

/// Moves the mark of an exiting task to its group, because a task that was marked by its
/// tid exits before the group dies.
#[inline(always)]
pub(crate) fn pass_mark_to_group() {
    if MARKED_BY_TID.get() == 0 {
        return;
    }
    let (tgid, tid) = current::ids();
    if tgid != tid && OOM_VICTIMS.remove(tid).is_ok() {
        mark(tgid, 0);
    }
}

/// Whether a mark for this dead group exists by now. Since 6.16 the exit may come before
/// the mark; `probe-user/src/bpf/oom_victims.rs` looks again then. The mark stays in the
/// map, as a signal does. `tid` is the number of the task in the initial pid namespace.
#[inline(always)]
pub(crate) fn is_marked(task: &event::Task, tid: u32) -> bool {
    has_mark(task, task.tgid) || MARKED_BY_TID.get() != 0 && tid != task.tgid && has_mark(task, tid)
}

#[inline(always)]
fn has_mark(task: &event::Task, id: u32) -> bool {
    map_value::lookup(&OOM_VICTIMS, &id).is_some_and(|mark| mark.is_of(task.start_boottime_ns))
}
