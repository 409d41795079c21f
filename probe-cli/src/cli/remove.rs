//! `probe kill --rm`: removes the cgroups once they are empty, before the verdict.

use std::{
    future::Future,
    io,
    pin::Pin,
    time::{Duration, Instant},
};

use probe_user::unstable::{
    cgroup::{control::CgroupControl, mounts::Mounts},
    diagnosis::{self, Observer, Obstacle},
    kill::KillTarget,
};
use rustix::io::Errno;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::{ExitCode, Failure};
use crate::deadline::until;

/// Delay between two attempts. A v1 cgroup stays busy for a moment after its list is empty,
/// and no event reports when it becomes removable.
const BUSY_RETRY: Duration = Duration::from_millis(10);

/// How long `rmdir` may take even if the deadline has passed.
const MIN_TIME: Duration = Duration::from_secs(1);

/// Removes all cgroups of the targets. Retries a busy cgroup until the deadline. Returns
/// whether all were removed before `stop` resolved.
pub(super) async fn all(
    targets: &[KillTarget],
    deadline: Option<Instant>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<bool, Failure> {
    let mut retry = interval(BUSY_RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for cgroup in targets.iter().flat_map(KillTarget::cgroups) {
        let mut is_reported = false;
        loop {
            let removal = cgroup.try_clone();
            let remove = move || removal.and_then(|it| it.remove());
            let removed = tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(false),
                removed = on_a_thread(remove, deadline) => removed,
            };
            let Err(error) = removed else {
                break;
            };
            let is_over = deadline.is_some_and(|it| it <= Instant::now());
            if is_over || Errno::from_io_error(&error) != Some(Errno::BUSY) {
                return Err(failure(cgroup, error));
            }
            if !is_reported && deadline.is_none() {
                is_reported = true;
                tracing::warn!("{} is busy: trying again", cgroup.path().display());
            }
            tokio::select! {
                () = stop.as_mut() => return Ok(false),
                _ = retry.tick() => {}
                () = until(deadline.map(Into::into)) => {}
            }
        }
    }
    Ok(true)
}

/// Runs `remove` on a thread of its own. From Linux 7.0 on, `rmdir` may sleep until exiting
/// tasks have left the cgroup, and that must delay neither the deadline nor a signal.
async fn on_a_thread(
    remove: impl FnOnce() -> io::Result<()> + Send + 'static,
    deadline: Option<Instant>,
) -> io::Result<()> {
    let (sender, receiver) = oneshot::channel();
    let remove = move || {
        // Nothing receives the result after the deadline: the cgroup was reported as busy.
        let _late = sender.send(remove());
    };
    std::thread::Builder::new()
        .name("rmdir".to_owned())
        .spawn(remove)?;
    let deadline = deadline.map(|it| it.max(Instant::now() + MIN_TIME));
    tokio::select! {
        biased;
        removed = receiver => removed.unwrap_or_else(|_died| Err(Errno::BUSY.into())),
        () = until(deadline.map(Into::into)) => Err(Errno::BUSY.into()),
    }
}

fn failure(cgroup: &CgroupControl, error: io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ExitCode::NotAvailable,
        _ => ExitCode::Failure,
    };
    let hint = match Errno::from_io_error(&error) {
        Some(Errno::BUSY) => {
            "a process was moved into the cgroup after the verdict, or a file system is mounted in it"
        }
        _ => "its processes are gone; remove it with rmdir, as the owner of the cgroup",
    };
    let hint = busy(cgroup, &error).unwrap_or_else(|| hint.to_owned());
    let context = format!("cannot remove {}", cgroup.path().display());
    Failure::new(code, anyhow::Error::new(error).context(context)).hint(hint)
}

/// What keeps a busy cgroup, if that can be seen.
fn busy(cgroup: &CgroupControl, error: &io::Error) -> Option<String> {
    if Errno::from_io_error(error) != Some(Errno::BUSY) {
        return None;
    }
    let mounts = Mounts::read().ok()?;
    let (mount, _) = mounts.of_path(cgroup.path())?;
    let observer = Observer::new();
    let found = diagnosis::obstacles(mount, cgroup.path(), &observer);
    let mount = found
        .into_iter()
        .find(|it| matches!(it, Obstacle::Mount { .. }))?;
    Some(format!("{}: {}", mount.text(), mount.hint()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_sleeping_rmdir_blocks_no_other_task() {
        let (wake, asleep) = channel::<()>();
        let (sender, receiver) = channel();
        let remove = move || {
            let _woken = asleep.recv();
            sender.send(()).expect("the test receives");
            Ok(())
        };
        let others = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            removed = on_a_thread(remove, None) => panic!("{removed:?}"),
            () = others => {}
        }
        assert!(receiver.try_recv().is_err(), "rmdir still sleeps");
        drop(wake);
        receiver.recv().expect("the thread ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cgroup_is_busy_if_rmdir_sleeps_past_the_deadline() {
        let (_wake, asleep) = channel::<()>();
        let remove = move || {
            let _woken = asleep.recv();
            Ok(())
        };
        let removed = on_a_thread(remove, Some(Instant::now())).await;
        let error = removed.expect_err("rmdir still sleeps");
        assert_eq!(Errno::from_io_error(&error), Some(Errno::BUSY));
    }
}
