//! Loads and attaches the BPF programs, and turns their records into events.
//!
//! The programs write records into two rings: the *decisive* ring has the few records
//! that decide a wait, the *stream* has all others. [`load`] sets everything up, [`ring`]
//! reads the stream, [`decode`] turns bytes into [`Event`](crate::model::Event)s, and
//! [`counters`] says how many records are missing.

pub mod capability;
pub mod counters;
pub(crate) mod decisive_ring;
pub mod decode;
pub mod hook;
mod killer;
pub mod load;
pub(crate) mod oom_victims;
pub mod ring;
mod signal_origin;
mod syscall;

/// The BPF programs, built by `cargo xtask bpf` and committed, so that a plain
/// `cargo build` needs no BPF toolchain.
#[cfg(target_endian = "little")]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/probe.bpfel.o");
/// The BPF programs for big-endian machines, built by `cargo xtask bpf`.
#[cfg(target_endian = "big")]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/probe.bpfeb.o");
