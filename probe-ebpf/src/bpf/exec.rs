//! `sched_process_exec`: a process executes another program.
//!
//! The new address space is in place, so the program reads the arguments from the
//! task's own memory. Userspace would read `/proc/PID/cmdline` too late for a
//! process that lives only briefly.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_ebpf::{
    counter::STREAM_DROPPED,
    event::{ARGS_BYTES, Exec, KIND_EXEC},
};
use zerocopy::IntoBytes;

use crate::{current, emit, filter, globals, map_value, maps::EXEC_SCRATCH, task::Task};

/// Bytes of an [`Exec`] before its arguments.
const HEAD_BYTES: usize = core::mem::offset_of!(Exec, args);

/// Arguments: `task`, `old_pid`, `bprm`.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: RawTracePointContext) -> i32 {
    if !filter::admits_current_cgroup() {
        return 0;
    }
    let Some(record) = map_value::scratch(&EXEC_SCRATCH) else {
        return 0;
    };
    record.header = emit::header(KIND_EXEC);
    record.args_len = 0;
    record.args_truncated = 0;
    if globals::can_read_tasks() {
        let task = Task::at(ctx.arg(0));
        record.task = task.describe(task.leader());
        let (len, truncated) = task.read_args(&mut record.args);
        record.args_len = len;
        record.args_truncated = u32::from(truncated);
    } else {
        record.task = current::describe();
    }
    if !filter::admits(&record.task) {
        return 0;
    }
    let args_len = (record.args_len as usize).min(ARGS_BYTES);
    if let Some(bytes) = record.as_bytes().get(..HEAD_BYTES + args_len) {
        emit::stream_bytes(&ctx, bytes, STREAM_DROPPED);
    }
    0
}
