//! [`Waker`], with which a wake-up source makes a wait look at its target again.
//!
//! A wake-up carries only the name of its source, for messages and tests. The wait reads the
//! state of the target itself.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use super::hub::lock;

/// The source that caused a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// A source outside of the library, which the caller has recorded.
    External,
    /// A record of the decisive ring.
    Ring,
    /// A notification of `cgroup.events`.
    Events,
    /// A pidfd: the process exited or was reaped.
    Pidfd,
    /// inotify on the parent directory: the cgroup was removed.
    Directory,
    /// The timer, which is always armed.
    Timer,
}

impl WokenBy {
    /// A stable word for logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Ring => "ring",
            Self::Events => "events",
            Self::Pidfd => "pidfd",
            Self::Directory => "directory",
            Self::Timer => "timer",
        }
    }
}

/// Wakes one wait, or one set of waits. All its watches share the waker.
#[derive(Debug, Default)]
pub(super) struct Waker {
    notify: Notify,
    by: Mutex<Option<WokenBy>>,
}

impl Waker {
    /// Wakes the wait. If [`Waker::woken`] is not being awaited, the next call of it resolves
    /// at once.
    pub(super) fn wake(&self, by: WokenBy) {
        *lock(&self.by) = Some(by);
        self.notify.notify_one();
    }

    /// Resolves at the next wake-up, or at once if there was one since the last call. Several
    /// wake-ups before the call count as one, with the last source.
    pub(super) async fn woken(&self) -> WokenBy {
        self.notify.notified().await;
        lock(&self.by).unwrap_or(WokenBy::Timer)
    }
}

/// The wakers of all waits that watch one cgroup or process.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    wakers: Mutex<Vec<Weak<Waker>>>,
    wants_removal: AtomicBool,
}

impl Wakers {
    /// Adds a waker, and removes the wakers of dropped waits.
    pub(super) fn attach(&self, waker: &Arc<Waker>) {
        let mut wakers = lock(&self.wakers);
        wakers.retain(|waker| waker.strong_count() > 0);
        wakers.push(Arc::downgrade(waker));
    }

    /// Notes that a wait asks for the removal of the cgroup.
    pub(super) fn want_removal(&self) {
        self.wants_removal.store(true, Ordering::Relaxed);
    }

    pub(super) fn wants_removal(&self) -> bool {
        self.wants_removal.load(Ordering::Relaxed)
    }

    pub(super) fn wake(&self, by: WokenBy) {
        for waker in lock(&self.wakers).iter().filter_map(Weak::upgrade) {
            waker.wake(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_up_before_the_await_is_not_lost() {
        let waker = Arc::default();
        let wakers = Wakers::default();
        wakers.attach(&waker);
        wakers.wake(WokenBy::Ring);
        assert_eq!(waker.woken().await, WokenBy::Ring);
    }

    #[test]
    fn the_wakers_of_dropped_waits_are_removed() {
        let wakers = Wakers::default();
        wakers.attach(&Arc::default());
        wakers.attach(&Arc::default());
        assert_eq!(wakers.wakers.lock().expect("unpoisoned").len(), 1);
    }
}
