//! The command's words for what wakes a wait: the library's, and the daemon.

use probe_user::{model, unstable::wait::WokenBy};

/// A kind of wake-up source, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The stream of a privileged daemon.
    Daemon,
    /// Our own BPF programs.
    Bpf,
    /// `cgroup.events` and pidfds.
    Pidfd,
    /// The timer alone.
    Poll,
}

impl Backend {
    /// The word in JSON and on the screen.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Bpf => model::Backend::Bpf.as_str(),
            Self::Pidfd => model::Backend::Pidfd.as_str(),
            Self::Poll => model::Backend::Poll.as_str(),
        }
    }
}

/// The word in JSON for what led to a look. The daemon is the only source outside
/// the library that wakes a wait of the command.
pub(crate) const fn waker_word(woken_by: WokenBy) -> &'static str {
    match woken_by {
        WokenBy::External => Backend::Daemon.as_str(),
        by => by.as_str(),
    }
}
