//! Waits on the calling thread, for programs without a tokio runtime.

use std::{io, path::Path, time::Duration};

use tokio::runtime;

use super::{armed::Met, error::WaitError, waiter::Waiter};
use crate::model::Until;

/// Waits for a cgroup on the calling thread, without a time limit. For programs without a
/// tokio runtime.
///
/// # Errors
///
/// [`WaitError::Runtime`] inside a tokio runtime: await [`Waiter::cgroup`] there.
pub fn wait_blocking(path: impl AsRef<Path>, until: Until) -> Result<Met, WaitError> {
    block(path.as_ref(), until, None)
}

/// [`wait_blocking`] with a time limit.
///
/// # Errors
///
/// Those of [`wait_blocking`], and [`WaitError::TimedOut`].
pub fn wait_blocking_for(
    path: impl AsRef<Path>,
    until: Until,
    limit: Duration,
) -> Result<Met, WaitError> {
    block(path.as_ref(), until, Some(limit))
}

fn block(path: &Path, until: Until, limit: Option<Duration>) -> Result<Met, WaitError> {
    if runtime::Handle::try_current().is_ok() {
        let inside =
            io::Error::other("the thread runs a tokio runtime: await `Waiter::cgroup` instead");
        return Err(WaitError::Runtime(inside));
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WaitError::Runtime)?;
    runtime.block_on(async {
        let mut wait = Waiter::start(true).cgroup(path)?.until(until);
        if let Some(limit) = limit {
            wait = wait.timeout(limit);
        }
        wait.await
    })
}
