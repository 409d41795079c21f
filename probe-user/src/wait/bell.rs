//! How a source tells waits to look: it says nothing else.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU8, Ordering},
};

use tokio::sync::Notify;

/// What led to a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WokenBy {
    /// A line of the daemon, or its end.
    Daemon,
    /// A record of the decisive ring.
    Ring,
    /// A notification of `cgroup.events`.
    Events,
    /// A pidfd: the process exited or was reaped.
    Pidfd,
    /// inotify on the parent directory: somebody removed the cgroup.
    Directory,
    /// The timer, which is always armed.
    Timer,
}

impl WokenBy {
    const ALL: [Self; 6] = [
        Self::Daemon,
        Self::Ring,
        Self::Events,
        Self::Pidfd,
        Self::Directory,
        Self::Timer,
    ];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Ring => "ring",
            Self::Events => "events",
            Self::Pidfd => "pidfd",
            Self::Directory => "directory",
            Self::Timer => "timer",
        }
    }
}

/// One wait's: rung by everything that it watches.
#[derive(Debug)]
pub(super) struct Bell {
    notify: Notify,
    by: AtomicU8,
}

impl Bell {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            notify: Notify::new(),
            by: AtomicU8::new(WokenBy::Timer as u8),
        })
    }

    /// A ring that nobody awaits yet is remembered, once.
    pub(super) fn ring(&self, by: WokenBy) {
        self.by.store(by as u8, Ordering::Relaxed);
        self.notify.notify_one();
    }

    /// Resolves at the next ring, or the one that was missed. Who rang is told
    /// for people and tests: several that ring at once are one.
    pub(super) async fn rung(&self) -> WokenBy {
        self.notify.notified().await;
        let by = self.by.load(Ordering::Relaxed);
        WokenBy::ALL
            .into_iter()
            .find(|&it| it as u8 == by)
            .unwrap_or(WokenBy::Timer)
    }
}

/// The bells of all who watch one thing.
#[derive(Debug, Default)]
pub(super) struct Ropes(Mutex<Vec<Weak<Bell>>>);

impl Ropes {
    pub(super) fn tie(&self, bell: &Arc<Bell>) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(bell));
    }

    pub(super) fn pull(&self, by: WokenBy) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bell in bells.iter().filter_map(Weak::upgrade) {
            bell.ring(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ring_before_anybody_listens_is_not_lost() {
        let bell = Bell::new();
        let ropes = Ropes::default();
        ropes.tie(&bell);
        ropes.pull(WokenBy::Ring);
        assert_eq!(bell.rung().await, WokenBy::Ring);
    }

    #[test]
    fn a_wait_that_was_given_up_leaves_nothing_behind() {
        let ropes = Ropes::default();
        ropes.tie(&Bell::new());
        ropes.tie(&Bell::new());
        assert_eq!(ropes.0.lock().expect("unpoisoned").len(), 1);
    }
}
