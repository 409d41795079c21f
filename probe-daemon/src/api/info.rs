//! `GET /v1/info`: the daemon, and the kernel as the daemon found it.

use serde::{Deserialize, Serialize};

/// The daemon, its limits and its losses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Info {
    /// Version of the program.
    pub version: String,
    /// Version of this API. A client does not use a daemon of another version.
    pub api: u32,
    /// Version of the line types.
    pub schema: u32,
    /// The backend that wakes waits: `bpf`, or `pidfd` if the BPF programs are gone.
    pub backend: String,
    /// Whether `/proc` has been scanned since the BPF programs were attached.
    pub ready: bool,
    /// Inode number of the daemon's pid namespace, to which the pids in its answers belong; `null`
    /// if it is unknown.
    #[serde(default)]
    pub pid_ns: Option<u32>,
    /// Seconds since the start of the daemon.
    pub uptime_seconds: u64,
    /// The kernel as the daemon found it.
    pub kernel: Kernel,
    /// Events that never reached the daemon, since its start; `null` if the client may
    /// not see every process of the machine.
    pub loss: Option<Loss>,
    /// Maximum number of exits in the history.
    pub history: u64,
    /// Maximum number of connections at once.
    pub max_clients: u64,
}

/// The kernel as the daemon found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Kernel {
    /// Release of the kernel, as `uname -r` prints it.
    pub release: String,
    /// Whether the kernel has BTF. Without it records lack status, parent, start,
    /// namespace and usage.
    pub btf: bool,
    /// The variant of the exit program that is attached.
    pub exit_program: Option<String>,
}

/// Events that never reached the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Loss {
    /// Exits and starts that were dropped because the ring buffer was full.
    pub ring_full: u64,
    /// Runs of a BPF program that the kernel skipped.
    pub skipped: u64,
    /// Scans of `/proc` that corrected the process table after a loss.
    pub resyncs: u64,
}
