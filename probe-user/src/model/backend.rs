//! The ladder: what may wake a wait.

/// One rung, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A privileged daemon's stream.
    Daemon,
    /// Records of our own BPF programs, and all that [`Backend::Pidfd`] has.
    Bpf,
    /// `cgroup.events` and pidfds.
    Pidfd,
    /// Nothing but the timer.
    Poll,
}

impl Backend {
    /// The word in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Bpf => "bpf",
            Self::Pidfd => "pidfd",
            Self::Poll => "poll",
        }
    }
}
