//! Values of maps and words of `.bss`, behind safe functions.
//!
//! # Safety
//!
//! The verifier proves, for each load of the program, that a map pointer
//! dereferenced here was checked against null and is inside the map's value.
#![expect(unsafe_code, reason = "map values, see the module's Safety section")]

use core::cell::UnsafeCell;

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
}

/// Adds one to a counter slot of this CPU and returns the new value.
#[inline(always)]
pub(crate) fn add_one(counters: &PerCpuArray<u64>, slot: u32) -> u64 {
    let Some(counter) = counters.get_ptr_mut(slot) else {
        return 0;
    };
    // SAFETY: the verifier checked the pointer against null and the value size;
    // programs do not migrate, so no other CPU uses this slot.
    let value = unsafe { counter.read() } + 1;
    // SAFETY: the same pointer, checked before the read.
    unsafe { counter.write(value) };
    value
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
        // SAFETY: the same pointer, checked before the read. Two CPUs that both
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
    // SAFETY: the verifier checked the pointer; each scratch map serves one
    // hook, which neither migrates nor runs twice on a CPU at a time (the
    // kernel's `prog->active`), so this is the only reference to the record.
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
