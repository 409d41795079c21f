//! The names of what wakes a wait: the sources of the library, and the daemon.

use probe_user::{model, unstable::wait::WokenBy};

/// A kind of wake-up source, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The stream of a privileged daemon.
    Daemon,
    /// BPF programs of this command.
    Bpf,
    /// `cgroup.events` and pidfds.
    Pidfd,
    /// A timer alone.
    Poll,
}

impl Backend {
    /// The name in JSON and on the screen.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Bpf => model::Backend::Bpf.as_str(),
            Self::Pidfd => model::Backend::Pidfd.as_str(),
            Self::Poll => model::Backend::Poll.as_str(),
        }
    }
}

/// The name in JSON of the source that woke a wait. `External` stands for the daemon, the
/// only source that the command adds to those of the library.
pub(crate) const fn waker_name(woken_by: WokenBy) -> &'static str {
    match woken_by {
        WokenBy::External => Backend::Daemon.as_str(),
        by => by.as_str(),
    }
}
