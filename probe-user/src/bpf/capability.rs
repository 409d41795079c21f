//! What this process is allowed to do.

use crate::proc::{directory::ProcessDirectory, status::Status};

/// A capability that probe asks for, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Everything below, before Linux 5.8.
    SysAdmin = 21,
    /// Raise the memlock limit, before Linux 5.11.
    SysResource = 24,
    /// Attach to tracepoints and read kernel memory (Linux 5.8).
    Perfmon = 38,
    /// Create maps, load programs (Linux 5.8).
    Bpf = 39,
}

impl Capability {
    /// As in `capabilities(7)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// The effective set, one bit each; `None` if `/proc` is not there.
#[must_use]
pub fn effective() -> Option<u64> {
    let status = ProcessDirectory::own().ok()?.content("status").ok()?;
    Status::new(&status).effective_capabilities()
}

/// Whether a set holds a capability.
#[must_use]
pub const fn has(set: u64, capability: Capability) -> bool {
    set >> capability as u64 & 1 != 0
}
