//! The globals that the loader sets before the programs are verified.
//!
//! # Safety
//!
//! Each is an initialised static in `.rodata`, frozen by the loader and alive as
//! long as the program. The programs read only integers inside it, by volatile
//! loads, because the loader and not the compiler decides the value.
#![expect(
    unsafe_code,
    reason = "volatile reads, see the module's Safety section"
)]

use core::mem::offset_of;

use aya_ebpf::Global;
use probe_ebpf::{
    config::{FILTER_NOTHING, Filter, HIERARCHIES, OFFSETS_UNKNOWN, Offsets},
    event::UNKNOWN,
};

use crate::memory::sign;

#[unsafe(no_mangle)]
static OFFSETS: Global<Offsets> = Global::new(OFFSETS_UNKNOWN);

#[unsafe(no_mangle)]
static FILTER: Global<Filter> = Global::new(FILTER_NOTHING);

/// An integer inside a global, or `fallback` outside of it. Every caller passes a
/// constant position, so the check costs nothing.
#[inline(always)]
fn integer_at<G, T: Copy>(global: &'static Global<G>, at: usize, fallback: T) -> T {
    if at + size_of::<T>() > size_of::<G>() || !at.is_multiple_of(align_of::<T>()) {
        return fallback;
    }
    let base = core::ptr::from_ref(global).cast::<u8>();
    // SAFETY: `at` is inside the static.
    let integer = unsafe { base.add(at) }.cast::<T>();
    // SAFETY: initialised, aligned and read-only; see the module.
    unsafe { integer.read_volatile() }
}

/// Offset of a member, by its position in [`Offsets`].
#[inline(always)]
pub(crate) fn offset_at(at: usize) -> u32 {
    integer_at(&OFFSETS, at, UNKNOWN)
}

/// Offset of a member, by its field of [`Offsets`].
macro_rules! offset {
    ($field:ident) => {
        $crate::globals::offset_at(core::mem::offset_of!(probe_ebpf::config::Offsets, $field))
    };
}
pub(crate) use offset;

/// Offset in `css_set` of the state of one of
/// [`CONTROLLERS`](probe_ebpf::config::CONTROLLERS).
#[inline(always)]
pub(crate) fn controller_offset(index: usize) -> u32 {
    offset_at(offset_of!(Offsets, css_set_subsys) + index * size_of::<u32>())
}

/// Rank of a v1 hierarchy. A record names the cgroup that the task has in the hierarchy
/// with the smallest rank.
#[inline(always)]
pub(crate) fn hierarchy_rank(hierarchy: u32) -> u8 {
    const LAST: u32 = HIERARCHIES as u32 - 1;
    const { assert!(HIERARCHIES.is_power_of_two()) };
    // All bits are set for a number above the table, and none for another one; without a branch,
    // because callers have a loop, and the verifier would walk through it more often.
    let is_above = sign(u64::from(LAST).wrapping_sub(u64::from(hierarchy))) as u8;
    let rank = integer_at(
        &OFFSETS,
        offset_of!(Offsets, hierarchy_rank) + (hierarchy & LAST) as usize,
        u8::MAX,
    );
    rank & !is_above | (u8::MAX - 1) & is_above
}

/// Whether the loader found the struct members from which a status is read.
#[inline(always)]
pub(crate) fn can_read_tasks() -> bool {
    offset!(task_tgid) != UNKNOWN && offset!(task_signal) != UNKNOWN
}

macro_rules! filter {
    ($field:ident) => {
        integer_at(&FILTER, offset_of!(Filter, $field), FILTER_NOTHING.$field)
    };
}

/// See [`Filter::flags`].
#[inline(always)]
pub(crate) fn filter_flags() -> u32 {
    filter!(flags)
}

/// See [`Filter::uid`].
#[inline(always)]
pub(crate) fn filter_uid() -> u32 {
    filter!(uid)
}

/// See [`Filter::cgroup_slots`].
#[inline(always)]
pub(crate) fn filter_cgroup_slots() -> u32 {
    filter!(cgroup_slots)
}

/// See [`Filter::hierarchy`].
#[inline(always)]
pub(crate) fn filter_hierarchy() -> u32 {
    filter!(hierarchy)
}

/// See [`Filter::pid_ns`].
#[inline(always)]
pub(crate) fn reader_pid_ns() -> u32 {
    filter!(pid_ns)
}

/// Whether an age in nanoseconds is within the bounds.
#[inline(always)]
pub(crate) fn filter_age_passes(age_ns: u64) -> bool {
    age_ns >= filter!(min_age_ns) && age_ns <= filter!(max_age_ns)
}

/// See [`Filter::wake_bytes`].
#[inline(always)]
pub(crate) fn wake_bytes() -> u64 {
    u64::from(filter!(wake_bytes))
}
