//! Hooks of cgroups: empty or populated, created, removed, and tasks that move.
//!
//! `cgroup_notify_populated` fires exactly when `populated` of a cgroup changes,
//! for that cgroup and then for each ancestor that changes with it, in v1
//! hierarchies too. Watching one cgroup therefore covers its descendants, also
//! those that are created later. The hook runs under `css_set_lock` with
//! interrupts off, and from 6.19 on `current` is not the dying task there, so the
//! program reads nothing but its arguments.

use aya_ebpf::{bindings::BPF_EXIST, macros::raw_tracepoint, programs::RawTracePointContext};
use probe_ebpf::{
    config::occupancy,
    counter::{CGROUP_DROPPED, OCCUPANCY_UNRECORDED},
    event::{
        Attach, CgroupChange, CgroupCreated, KIND_ATTACH, KIND_CGROUP_CREATED, KIND_CGROUP_EMPTY,
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
    memory,
    task::Task,
};

/// Bytes of a [`CgroupCreated`] before its path.
const HEAD_BYTES: usize = core::mem::offset_of!(CgroupCreated, path);

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
    // The update is by key and not through the pointer, because the element may
    // belong to another key by now. It fails if userspace removed the key
    // meanwhile; only other failures are counted.
    let stored = WATCHED.insert(key, occupancy, u64::from(BPF_EXIST));
    if stored.is_err() && WATCHED.get_ptr(key).is_some() {
        map_value::add_one(&COUNTERS, OCCUPANCY_UNRECORDED);
    }
    if !is_populated {
        report_if_watched(&ctx, KIND_CGROUP_EMPTY);
    }
    0
}

/// Arguments: `cgrp`, `path`. The stream gets the record as well: there it follows
/// the last exit of the cgroup, so the reader can forget the cgroup's path.
#[raw_tracepoint(tracepoint = "cgroup_rmdir")]
pub(crate) fn cgroup_rmdir(ctx: RawTracePointContext) -> i32 {
    report_if_watched(&ctx, KIND_CGROUP_REMOVED);
    let record = CgroupChange {
        header: emit::header(KIND_CGROUP_REMOVED),
        cgroup: Cgroup::at(ctx.arg(0)).key(),
    };
    emit::stream(&ctx, record, CGROUP_DROPPED);
    0
}

#[inline(always)]
fn report_if_watched(ctx: &RawTracePointContext, kind: u32) {
    let cgroup = Cgroup::at(ctx.arg(0));
    let key = cgroup.key();
    if WATCHED.get_ptr(key).is_some() {
        let record = CgroupChange {
            header: emit::header(kind),
            cgroup: key,
        };
        let wakes =
            kind == KIND_CGROUP_REMOVED || key.hierarchy != 0 || notification_is_delayed(cgroup);
        emit::decisive(ctx, record, wakes);
    }
}

/// Whether the last notification of `cgroup.events` is so recent that the kernel
/// delays this one, and cancels it if the cgroup is removed meanwhile. Otherwise the
/// notification follows at once and wakes the reader, which polls both, faster than
/// the ring: a wake-up by the ring takes an interrupt, which delays the dying task.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L4411>
#[inline(always)]
fn notification_is_delayed(cgroup: Cgroup) -> bool {
    let notified_at = cgroup.events_notified_at();
    let interval = u64::from(offset!(notify_interval_ticks));
    notified_at == 0 || current::jiffies().wrapping_sub(notified_at) <= interval
}

/// Arguments: `cgrp`, `path`.
#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
pub(crate) fn cgroup_mkdir(ctx: RawTracePointContext) -> i32 {
    report_path(&ctx)
}

/// A v1 cgroup has a new name; its descendants have new paths. Arguments: `cgrp`, `path`.
#[raw_tracepoint(tracepoint = "cgroup_rename")]
pub(crate) fn cgroup_rename(ctx: RawTracePointContext) -> i32 {
    report_path(&ctx)
}

/// Both hooks run under `trace_cgroup_path_lock` with interrupts off, so they share the
/// scratch record. The lock guards the buffer of the path, which cuts off a long path; then
/// the record has the name and the parent.
#[inline(always)]
fn report_path(ctx: &RawTracePointContext) -> i32 {
    let Some(record) = map_value::scratch(&CGROUP_SCRATCH) else {
        return 0;
    };
    record.header = emit::header(KIND_CGROUP_CREATED);
    let cgroup = Cgroup::at(ctx.arg(0));
    record.cgroup = cgroup.key();
    record.parent_id = cgroup.parent().key().id;
    record.path_len = memory::read_path(ctx.arg(1), &mut record.path);
    record.is_name = 0;
    if record.path_len == 0 {
        record.path_len = memory::read_path(cgroup.name(), &mut record.path);
        record.is_name = 1;
    }
    let path_len = (record.path_len as usize).min(PATH_BYTES);
    if let Some(bytes) = record.as_bytes().get(..HEAD_BYTES + path_len) {
        emit::stream_bytes(ctx, bytes, CGROUP_DROPPED);
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
