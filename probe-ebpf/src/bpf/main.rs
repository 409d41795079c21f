//! The programs that run in the kernel: one module for each family of hooks.
//!
//! Nearly all are raw tracepoints (4.17+): they need neither tracefs nor a vmlinux
//! BTF id, only `CAP_BPF` and `CAP_PERFMON`, and the context is the tracepoint's own
//! arguments. [`task`], [`membership`] and [`user_namespace`] read kernel structs.
//! Unsafe code is in [`memory`], [`map_value`], [`globals`] and [`current`], behind
//! safe functions. [`emit`] writes the records.

#![no_std]
#![no_main]
// For the atomic addition in `map_value`. The toolchain builds `core` for this target, so
// it allows unstable features anyway.
#![feature(asm_experimental_arch)]
#![deny(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "a BPF function returns one word and takes five; these functions pass structs"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macro passes the context to a program by value"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "registers are 64 bits wide, most arguments are not"
)]

mod cgroup;
mod current;
mod emit;
mod exec;
mod exit;
mod filter;
mod fork;
mod globals;
mod map_value;
mod maps;
mod members;
mod membership;
mod membership_search;
mod memory;
mod oom;
mod signal;
mod task;
mod user_namespace;

#[expect(unsafe_code, reason = "the kernel looks for this section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The verifier refuses a program that can panic, so this function never runs.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
