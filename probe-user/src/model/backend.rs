//! The wake-up sources of a wait.

/// A kind of wake-up source, best first. Each one also uses those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Records of BPF programs that this process loaded.
    Bpf,
    /// `cgroup.events` and pidfds.
    Pidfd,
    /// Only the timer.
    Poll,
}

impl Backend {
    /// The word in logs and JSON, which is stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Pidfd => "pidfd",
            Self::Poll => "poll",
        }
    }
}
