//! What may wake a wait.

/// A kind of wake-up source, best first. Each may also use all that stand below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Records of our own BPF programs.
    Bpf,
    /// `cgroup.events` and pidfds.
    Pidfd,
    /// The timer alone.
    Poll,
}

impl Backend {
    /// A stable word for logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Pidfd => "pidfd",
            Self::Poll => "poll",
        }
    }
}
