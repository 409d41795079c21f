//! `probe kill --rm`: the cgroups go once they are empty, before the verdict.

use std::{
    future::Future,
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::{ExitCode, Failure};
use crate::{kill::Target, source::cgroup_control::CgroupControl};

/// v1 drops the last reference a moment after it lists nobody, and nothing tells
/// of it.
const BUSY_RETRY: Duration = Duration::from_millis(10);

/// How it ended.
pub(super) enum Removed {
    All,
    /// By the signal that was waited for.
    Interrupted,
    /// Busy when the time was over, or never possible.
    Not(Failure),
}

/// Tries again while somebody is in one: until the deadline, or the stop.
pub(super) async fn all(
    quarry: &[Target],
    deadline: Option<Instant>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Removed {
    let mut retry = interval(BUSY_RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for cgroup in quarry.iter().flat_map(Target::cgroups) {
        let mut is_said = false;
        while let Err(error) = cgroup.remove() {
            let is_over = deadline.is_some_and(|it| it <= Instant::now());
            if is_over || Errno::from_io_error(&error) != Some(Errno::BUSY) {
                return Removed::Not(failure(cgroup, error));
            }
            if !is_said && deadline.is_none() {
                is_said = true;
                tracing::warn!("{} is busy: trying again", cgroup.path().display());
            }
            tokio::select! {
                () = stop.as_mut() => return Removed::Interrupted,
                _ = retry.tick() => {}
                () = until(deadline) => {}
            }
        }
    }
    Removed::All
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn failure(cgroup: &CgroupControl, error: io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ExitCode::NotAvailable,
        _ => ExitCode::Failure,
    };
    let hint = match Errno::from_io_error(&error) {
        Some(Errno::BUSY) => {
            "somebody was moved in after it was empty, or something is mounted below it"
        }
        _ => "its processes are gone; remove it with rmdir as its owner",
    };
    let context = format!("cannot remove {}", cgroup.path().display());
    Failure::new(code, anyhow::Error::new(error).context(context)).hint(hint)
}
