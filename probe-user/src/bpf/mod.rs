//! The BPF programs: loaded, attached, and their records decoded.

pub mod capability;
pub mod counters;
pub mod decode;
pub mod hook;
mod killer;
pub mod load;
pub(crate) mod oom_victims;
pub mod ring;

/// The BPF programs, built by `cargo xtask bpf` and committed, so that a plain
/// `cargo build` needs no BPF toolchain.
#[cfg(target_endian = "little")]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/probe.bpfel.o");
/// The big-endian build of the same programs.
#[cfg(target_endian = "big")]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/probe.bpfeb.o");
