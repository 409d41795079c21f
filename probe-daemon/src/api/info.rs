//! `GET /v1/info`: the daemon and what it knows of the kernel.

use serde::{Deserialize, Serialize};

/// What the daemon is and what serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Info {
    /// Version of the program.
    pub version: String,
    /// Version of this API. A client leaves a daemon alone that speaks another one.
    pub api: u32,
    /// Version of the line types.
    pub schema: u32,
    /// What wakes its waits: `bpf`.
    pub backend: String,
    /// Whether the machine has been scanned since the programs were attached.
    pub ready: bool,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// The kernel as the daemon found it.
    pub kernel: Kernel,
    /// What never reached it, since it started. `null` for who may not see the
    /// whole machine.
    pub loss: Option<Loss>,
    /// Exits that are kept at most.
    pub history: u64,
    /// Connections that are served at most.
    pub max_clients: u64,
}

/// The kernel as the daemon found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Whether types were found: without them records lack status, parent, start,
    /// namespace and usage.
    pub btf: bool,
    /// Which exit program runs.
    pub exit_program: Option<String>,
}

/// Events that never came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Loss {
    /// Exits and starts for which the ring had no room.
    pub ring_full: u64,
    /// Calls of a program that the kernel skipped.
    pub skipped: u64,
    /// Scans of `/proc` that mended the process table after a loss.
    pub resyncs: u64,
}
