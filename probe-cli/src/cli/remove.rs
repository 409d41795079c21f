//! `probe kill --rm`: the cgroups go once they are empty, before the verdict.

use std::{
    future::Future,
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use probe_user::unstable::{cgroup::control::CgroupControl, kill::Target};
use rustix::io::Errno;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, sleep_until},
};

use super::{ExitCode, Failure};

/// v1 drops the last reference a moment after it lists nobody, and nothing tells
/// of it.
const BUSY_RETRY: Duration = Duration::from_millis(10);

/// What `rmdir` may take though the time is over.
const LEAST: Duration = Duration::from_secs(1);

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
    targets: &[Target],
    deadline: Option<Instant>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Removed {
    let mut retry = interval(BUSY_RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for cgroup in targets.iter().flat_map(Target::cgroups) {
        let mut is_said = false;
        loop {
            let removal = cgroup.try_clone();
            let remove = move || removal.and_then(|it| it.remove());
            let removed = tokio::select! {
                biased;
                () = stop.as_mut() => return Removed::Interrupted,
                removed = aside(remove, deadline) => removed,
            };
            let Err(error) = removed else {
                break;
            };
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

/// Runs it on a thread of its own: from Linux 7.0 on `rmdir` may sleep until who
/// is dying has left, and neither the time nor a signal may wait for that.
async fn aside(
    remove: impl FnOnce() -> io::Result<()> + Send + 'static,
    deadline: Option<Instant>,
) -> io::Result<()> {
    let (tell, told) = oneshot::channel();
    let remove = move || {
        // Nobody waits any more: then it is told as busy.
        let _late = tell.send(remove());
    };
    std::thread::Builder::new()
        .name("rmdir".to_owned())
        .spawn(remove)?;
    let deadline = deadline.map(|it| it.max(Instant::now() + LEAST));
    tokio::select! {
        biased;
        removed = told => removed.unwrap_or_else(|_died| Err(Errno::BUSY.into())),
        () = until(deadline) => Err(Errno::BUSY.into()),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn an_rmdir_that_sleeps_holds_up_nothing_else() {
        let (wake, asleep) = channel::<()>();
        let (tell, told) = channel();
        let remove = move || {
            // Until the test is over.
            let _woken = asleep.recv();
            tell.send(()).expect("the test listens");
            Ok(())
        };
        let others = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            removed = aside(remove, None) => panic!("{removed:?}"),
            () = others => {}
        }
        assert!(told.try_recv().is_err(), "it still sleeps");
        drop(wake);
        told.recv().expect("the thread comes to its end");
    }

    #[tokio::test(start_paused = true)]
    async fn an_rmdir_that_sleeps_beyond_the_time_is_busy() {
        let (_wake, asleep) = channel::<()>();
        let remove = move || {
            let _woken = asleep.recv();
            Ok(())
        };
        let removed = aside(remove, Some(Instant::now())).await;
        let error = removed.expect_err("nobody woke it");
        assert_eq!(Errno::from_io_error(&error), Some(Errno::BUSY));
    }
}
