//! `sched_process_fork`: a process starts.
//!
//! The hook fires after the child is in its cgroup and in the pid table, so a
//! snapshot that is taken after this hook is attached misses no process.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_ebpf::{
    counter::STREAM_DROPPED,
    event::{Fork, KIND_FORK},
};

use crate::{emit, filter, globals, task::Task};

/// Arguments: `parent`, `child`.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn sched_process_fork(ctx: RawTracePointContext) -> i32 {
    let child = Task::at(ctx.arg(1));
    if !globals::can_read_tasks() || child.tid() != child.tgid() {
        return 0;
    }
    let record = Fork {
        header: emit::header(KIND_FORK),
        task: child.describe(child),
    };
    // The cgroup of the current task does not matter here: a child may start in
    // another one (CLONE_INTO_CGROUP, Linux 5.7).
    if filter::admits(&record.task) {
        emit::stream(&ctx, record, STREAM_DROPPED);
    }
    0
}
