//! Everything that touches the kernel: BPF, cgroup file systems, `/proc`.
//!
//! Sources turn what the kernel says into [`crate::event`]s or into the answer
//! to one question; they decide nothing. To the right of here nobody opens a
//! file or a map.

pub(crate) mod ancestry;
pub mod btf;
pub mod capability;
pub mod cgroup_control;
pub mod cgroup_events;
pub mod cgroupfs;
pub mod clock;
pub mod counters;
pub mod departure;
pub mod dying;
pub mod hook;
pub mod host;
pub mod left_behind;
pub mod load;
pub(crate) mod oom_victims;
pub mod pidfd_info;
pub mod pinned_process;
pub mod processes;
pub mod readiness;
pub mod removals;
pub mod ring;
pub mod send;
pub mod survivors;
pub mod user_namespace;

/// The BPF programs, built by `cargo xtask bpf` and committed, so that a plain
/// `cargo build` needs no BPF toolchain.
#[cfg(target_endian = "little")]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/probe.bpfel.o");
/// See the little-endian one.
#[cfg(target_endian = "big")]
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/probe.bpfeb.o");
