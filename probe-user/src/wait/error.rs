//! [`WaitError`], the error of a wait.

use std::{fmt, io, time::Duration};

use super::target::TargetError;
use crate::{model::Until, proc::survivors::Survivor};

/// Why a wait has no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The target could not be found or opened.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The wait could not be armed.
    #[error("cannot watch {target}")]
    Arm {
        /// The target, such as `cgroup /sys/fs/cgroup/a`.
        target: String,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// The state of the target could not be read.
    #[error("cannot read the state of {target}")]
    Look {
        /// The target.
        target: String,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// The time limit passed first.
    #[error("{target} is not {} after {after:?}{}", until.as_str(), Listed(survivors))]
    TimedOut {
        /// The target.
        target: String,
        /// The condition.
        until: Until,
        /// The time limit.
        after: Duration,
        /// The processes that are left, and why each may still be there. Without the
        /// right to see them the list is empty.
        survivors: Vec<Survivor>,
    },
    /// [`crate::wait_blocking`] was called on a thread of a tokio runtime, which it would
    /// block, or could not start its own runtime.
    #[error("cannot wait on this thread")]
    Runtime(#[source] io::Error),
}

/// Most survivors in the text of an error, which is one line.
const MAX_LISTED: usize = 3;

struct Listed<'a>(&'a [Survivor]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, it) in self.0.iter().take(MAX_LISTED).enumerate() {
            let separator = if index == 0 { ":" } else { "," };
            let Survivor {
                comm, pid, state, ..
            } = it;
            write!(f, "{separator} {comm} (pid {pid}, state {state}")?;
            if let Some(reason) = &it.reason {
                write!(f, ": {reason}")?;
            }
            write!(f, ")")?;
        }
        match self.0.len().saturating_sub(MAX_LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
