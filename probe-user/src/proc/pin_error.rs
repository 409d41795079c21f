//! The reasons why a process cannot be pinned.

use std::io;

use rustix::io::Errno;

use super::visibility;

/// Why a process cannot be waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PinProcessError {
    /// No process has this pid (any more).
    #[error("no process {pid}")]
    NotFound { pid: u32 },
    /// The number is the tid of a thread, not the pid of a process.
    #[error("{tid} is a thread of {}", process_name(*tgid))]
    Thread { tid: u32, tgid: Option<u32> },
    /// The process exists and `/proc` hides it from this user, so without a pidfd nothing
    /// shows its state, and nothing shows its start time.
    #[error("process {pid} exists, but /proc hides it from this user")]
    Hidden { pid: u32 },
    /// As [`PinProcessError::Hidden`]: `/proc` belongs to another pid namespace, and another
    /// process has the number there.
    #[error("process {pid} exists, but /proc belongs to another pid namespace")]
    Foreign { pid: u32 },
    /// A file in `/proc/PID` cannot be read.
    #[error("cannot read the state of process {pid}")]
    Look {
        pid: u32,
        #[source]
        source: io::Error,
    },
}

fn process_name(tgid: Option<u32>) -> String {
    tgid.map_or_else(|| "a process".to_owned(), |tgid| format!("process {tgid}"))
}

impl PinProcessError {
    /// The error of the system call that failed.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotFound { .. } => Errno::SRCH,
            Self::Thread { .. } => Errno::INVAL,
            Self::Hidden { .. } | Self::Foreign { .. } => Errno::ACCESS,
            Self::Look { source, .. } => Errno::from_io_error(source).unwrap_or(Errno::IO),
        }
    }

    /// The error for an existing process that `/proc` does not show.
    pub(super) fn unseen(pid: u32) -> Self {
        if visibility::is_own() {
            Self::Hidden { pid }
        } else {
            Self::Foreign { pid }
        }
    }
}
