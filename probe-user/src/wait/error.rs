//! [`WaitError`], the error of a wait.

use std::{io, time::Duration};

use super::target::TargetError;
use crate::{diagnosis::Survivor, model::Until};

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
    #[error("{target} is not {} after {after:?}{}", until.as_str(), list(survivors))]
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

fn list(survivors: &[Survivor]) -> String {
    let listed = survivors
        .iter()
        .take(MAX_LISTED)
        .map(|it| format!("{} (pid {}) {}", it.comm, it.pid, it.why()));
    let listed = listed.collect::<Vec<_>>().join(", ");
    match survivors.len().saturating_sub(MAX_LISTED) {
        0 if listed.is_empty() => listed,
        0 => format!(": {listed}"),
        more => format!(": {listed} and {more} more"),
    }
}
