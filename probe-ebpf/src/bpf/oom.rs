//! `mark_victim`: the out-of-memory killer chose a process.
//!
//! Its argument was a pid and became a task in 2024, in stable kernels too
//! (72ba14deb40a). The two cannot be confused: a pid is at most 2^22, a kernel
//! address has its top bit set.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::warn;
use probe_ebpf::{
    counter::OOM_UNRECORDED,
    event::{self, OomMark},
};

use crate::{
    current,
    map_value::{self, Remembered},
    maps::{COUNTERS, OOM_VICTIMS},
    task::Task,
};

/// Whether a mark by tid was ever made: only then need the exits of single
/// tasks look for one.
static MARKED_BY_TID: Remembered = Remembered::new();

#[raw_tracepoint(tracepoint = "mark_victim")]
pub(crate) fn mark_victim(ctx: RawTracePointContext) -> i32 {
    let victim: u64 = ctx.arg(0);
    let marked = if victim >> 63 != 0 {
        let task = Task::at(victim);
        mark(task.tgid(), task.leader().start_boottime_ns())
    } else {
        MARKED_BY_TID.set(1);
        mark(victim as u32, 0)
    };
    if !marked && map_value::add_one(&COUNTERS, OOM_UNRECORDED) == 1 {
        warn!(
            &ctx,
            "victim map full: some OOM kills will look like others"
        );
    }
    0
}

#[inline(always)]
fn mark(id: u32, start_boottime_ns: u64) -> bool {
    let mark = OomMark {
        start_boottime_ns,
        marked_boottime_ns: current::boottime_ns(),
    };
    OOM_VICTIMS.insert(id, mark, 0).is_ok()
}

/// A task that was marked by its tid exits before its group does: the group
/// inherits the mark.
#[inline(always)]
pub(crate) fn hand_mark_to_group() {
    if MARKED_BY_TID.get() == 0 {
        return;
    }
    let (tgid, tid) = current::ids();
    if tgid != tid && OOM_VICTIMS.remove(tid).is_ok() {
        mark(tgid, 0);
    }
}

/// Whether a group that is dead now was chosen, as far as is known by now: since
/// 6.16 it may come here before its mark does, see `oom_victims.rs` of the reader.
/// The mark stays, as a remembered signal does.
#[inline(always)]
pub(crate) fn is_marked(task: &event::Task) -> bool {
    is_own(task, task.tgid)
        || MARKED_BY_TID.get() != 0 && task.tid != task.tgid && is_own(task, task.tid)
}

#[inline(always)]
fn is_own(task: &event::Task, id: u32) -> bool {
    map_value::lookup(&OOM_VICTIMS, &id).is_some_and(|mark| mark.is_of(task.start_boottime_ns))
}
