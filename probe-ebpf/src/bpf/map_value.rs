//! Values of maps and words of `.bss`, behind safe functions.
//!
//! # Safety
//!
//! The verifier proves, for each load of the program, that a map pointer
//! dereferenced here was checked against null and is inside the map's value.
#![expect(unsafe_code, reason = "map values, see the module's Safety section")]

use core::{arch::asm, cell::UnsafeCell};

use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray};

/// A word in `.bss` that all CPUs share, 0 at first. It is not an atomic because LLVM
/// has no atomic load before BPF v4; an aligned 8-byte access does not tear.
#[repr(transparent)]
pub(crate) struct SharedWord(UnsafeCell<u64>);

// SAFETY: only whole words are read and written, by volatile accesses that the
// BPF JIT compiles to single instructions.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: the cell is in a static, initialised and aligned.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: u64) {
        // SAFETY: the cell is in a static, initialised and aligned.
        unsafe { self.0.get().write_volatile(value) }
    }

    #[inline(always)]
    pub(crate) fn add_one(&self) {
        add_one_at(self.0.get());
    }
}

/// Adds one to a counter slot of this CPU, and returns whether the slot was 0 before.
///
/// The addition is atomic: since Linux 7.0 a task may be preempted inside a program, and
/// then another program adds to the same slot. Two such programs may both find the slot
/// at 0.
#[inline(always)]
pub(crate) fn add_one(counters: &PerCpuArray<u64>, slot: u32) -> bool {
    let is_first = counter(counters, slot) == 0;
    if let Some(counter) = counters.get_ptr_mut(slot) {
        add_one_at(counter);
    }
    is_first
}

/// Adds one to a word that the verifier knows. The target has no atomics of its own that
/// write; this instruction is part of BPF v1, so every kernel has it.
#[inline(always)]
fn add_one_at(word: *mut u64) {
    // SAFETY: the instruction writes to these eight bytes and to nothing else; the verifier
    // checks that they are in a map value or in `.bss`, where every `u64` is valid.
    unsafe {
        asm!(
            "lock *(u64 *)({word} + 0) += {one}",
            word = in(reg) word,
            one = in(reg) 1_u64,
            options(nostack),
        );
    }
}

/// The value of a counter slot on this CPU.
#[inline(always)]
pub(crate) fn counter(counters: &PerCpuArray<u64>, slot: u32) -> u64 {
    counters.get(slot).copied().unwrap_or(0)
}

/// The word of an array with one entry.
#[inline(always)]
pub(crate) fn word(words: &Array<u64>) -> u64 {
    words.get(0).copied().unwrap_or(0)
}

/// Clears a flag and returns whether it was set.
#[inline(always)]
pub(crate) fn take_flag(flags: &Array<u32>) -> bool {
    let Some(flag) = flags.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the verifier checked the pointer against null and the value size.
    let was_set = unsafe { flag.read_volatile() } != 0;
    if was_set {
        // SAFETY: the same pointer, checked before the read. Two programs that both
        // clear the flag both wake the reader, which is harmless.
        unsafe { flag.write_volatile(0) };
    }
    was_set
}

/// This CPU's scratch record.
#[inline(always)]
#[expect(clippy::mut_from_ref, reason = "the map owns the record, see SAFETY")]
pub(crate) fn scratch<T>(map: &'static PerCpuArray<T>) -> Option<&'static mut T> {
    let record = map.get_ptr_mut(0)?;
    // SAFETY: the verifier checked the pointer, and this is the only reference to the
    // record: each scratch map serves one program (or two that one lock excludes), a program
    // stays on its CPU, and it does not run twice there at a time. Up to 6.19 tracepoints disable preemption;
    // since 7.0 the kernel skips a run of a program that is preempted on this CPU:
    // https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/bpf_trace.c
    Some(unsafe { &mut *record })
}

/// The value stored under a key.
#[inline(always)]
pub(crate) fn lookup<'a, K, V>(map: &'a LruHashMap<K, V>, key: &K) -> Option<&'a V> {
    // SAFETY: an entry that is deleted meanwhile is not freed before the
    // program ends (preallocated map, RCU); a torn value is caught by the start
    // time that each value carries.
    unsafe { map.get(key) }
}
