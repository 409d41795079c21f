//! The capabilities of this process.

use crate::proc::{directory::ProcessDirectory, status::Status};

/// A capability that probe needs for BPF, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Before Linux 5.8, allows everything that `Perfmon` and `Bpf` allow.
    SysAdmin = 21,
    /// Allows raising the memlock limit, before Linux 5.11.
    SysResource = 24,
    /// Allows attaching to tracepoints and reading kernel memory (Linux 5.8).
    Perfmon = 38,
    /// Allows creating maps and loading programs (Linux 5.8).
    Bpf = 39,
}

impl Capability {
    /// The name as in `capabilities(7)`.
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

/// The effective set, one bit for each capability; `None` if `/proc` cannot be read.
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
