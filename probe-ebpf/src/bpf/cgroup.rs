//! Cgroups that become empty, appear, go, and change their members.
//!
//! `cgroup_notify_populated` fires exactly when `populated` of a cgroup flips,
//! for it and then for each ancestor that flips with it, in v1 hierarchies too:
//! watching the id waited for covers sub-cgroups made later. It runs under
//! `css_set_lock` with interrupts off, and from 6.19 on `current` is not the
//! dying task there: nothing but the arguments is looked at.

use aya_ebpf::{bindings::BPF_EXIST, macros::raw_tracepoint, programs::RawTracePointContext};
use probe_ebpf::{
    config::occupancy,
    counter::{CGROUP_DROPPED, OCCUPANCY_UNRECORDED},
    event::{
        Attach, CgroupChange, CgroupMade, KIND_ATTACH, KIND_CGROUP_EMPTY, KIND_CGROUP_MADE,
        KIND_CGROUP_REMOVED, PATH_BYTES,
    },
};
use zerocopy::IntoBytes;

use crate::{
    current, emit,
    globals::offset,
    map_value,
    maps::{CGROUP_SCRATCH, COUNTERS, WATCHED},
    membership::Cgroup,
    memory::{self, PROBED},
    task::Task,
};

/// Bytes of a [`CgroupMade`] before its path.
const HEAD_BYTES: usize = core::mem::offset_of!(CgroupMade, path);

/// Arguments: `cgrp`, `path`, `val`.
#[raw_tracepoint(tracepoint = "cgroup_notify_populated")]
pub(crate) fn cgroup_notify_populated(ctx: RawTracePointContext) -> i32 {
    let is_populated = ctx.arg::<u64>(2) as u32 != 0;
    let key = Cgroup::at(ctx.arg(0)).key();
    if WATCHED.get_ptr(key).is_none() {
        return 0;
    }
    let occupancy = if is_populated {
        occupancy::POPULATED
    } else {
        occupancy::EMPTY
    };
    // By key and not through the pointer: its element may be another's by now.
    // Somebody may have ceased to watch it, which is the one error expected.
    let kept = WATCHED.insert(key, occupancy, u64::from(BPF_EXIST));
    if kept.is_err() && WATCHED.get_ptr(key).is_some() {
        map_value::add_one(&COUNTERS, OCCUPANCY_UNRECORDED);
    }
    if !is_populated {
        decide(&ctx, KIND_CGROUP_EMPTY);
    }
    0
}

/// Arguments: `cgrp`, `path`. To the stream as well: there it follows the last
/// exit of the cgroup, so its name can be forgotten.
#[raw_tracepoint(tracepoint = "cgroup_rmdir")]
pub(crate) fn cgroup_rmdir(ctx: RawTracePointContext) -> i32 {
    decide(&ctx, KIND_CGROUP_REMOVED);
    let record = CgroupChange {
        header: emit::header(KIND_CGROUP_REMOVED),
        cgroup: Cgroup::at(ctx.arg(0)).key(),
    };
    emit::stream(&ctx, record, CGROUP_DROPPED);
    0
}

#[inline(always)]
fn decide(ctx: &RawTracePointContext, kind: u32) {
    let cgroup = Cgroup::at(ctx.arg(0));
    let key = cgroup.key();
    if WATCHED.get_ptr(key).is_some() {
        let record = CgroupChange {
            header: emit::header(kind),
            cgroup: key,
        };
        let wakes = kind == KIND_CGROUP_REMOVED || key.hierarchy != 0 || is_told_late(cgroup);
        emit::decide(ctx, record, wakes);
    }
}

/// Whether `cgroup.events` was notified so recently that the kernel puts off this
/// notification, and cancels it if the cgroup is removed meanwhile. Otherwise it
/// follows at once and is the faster way to wake the reader, who polls both: a
/// wake-up by the ring takes an interrupt, which holds up the task that is dying.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L4411>
#[inline(always)]
fn is_told_late(cgroup: Cgroup<PROBED>) -> bool {
    let notified_at = cgroup.events_notified_at();
    let interval = u64::from(offset!(notify_interval_ticks));
    notified_at == 0 || current::jiffies().wrapping_sub(notified_at) <= interval
}

/// Arguments: `cgrp`, `path`.
#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
pub(crate) fn cgroup_mkdir(ctx: RawTracePointContext) -> i32 {
    let Some(record) = map_value::scratch(&CGROUP_SCRATCH) else {
        return 0;
    };
    record.header = emit::header(KIND_CGROUP_MADE);
    record.cgroup = Cgroup::at(ctx.arg(0)).key();
    record.path_len = memory::read_path(ctx.arg(1), &mut record.path);
    record.reserved = 0;
    let path_len = (record.path_len as usize).min(PATH_BYTES);
    if let Some(bytes) = record.as_bytes().get(..HEAD_BYTES + path_len) {
        emit::stream_bytes(&ctx, bytes, CGROUP_DROPPED);
    }
    0
}

/// Arguments: `dst_cgrp`, `path`, `task`, `threadgroup`.
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub(crate) fn cgroup_attach_task(ctx: RawTracePointContext) -> i32 {
    let task = Task::at(ctx.arg(2));
    let record = Attach {
        header: emit::header(KIND_ATTACH),
        cgroup: Cgroup::at(ctx.arg(0)).key(),
        task: task.describe(task.leader()),
        whole_group: u32::from(ctx.arg::<u64>(3) & 1 != 0),
        reserved: 0,
    };
    emit::stream(&ctx, record, CGROUP_DROPPED);
    0
}
