//! One cgroup or process that is watched: pinned once, however many waits watch
//! it, with a task that wakes them on every reason to look.

use std::{
    future::pending,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    backoff::{Backoff, Doubt},
    directories::Directories,
    occupancy::Occupancy,
    waker::{Waker, Wakers, WokenBy},
};
use crate::{
    model::{Backend, ProcessState},
    proc::{pidfd_info, pinned::PinnedProcess},
    readiness::register,
};

/// See the module. Dropping it ends its task and closes its files.
#[derive(Debug)]
pub(super) struct Watch<T> {
    pub(super) pinned: Arc<T>,
    wakers: Arc<Wakers>,
    reregister: Arc<Notify>,
    follower: JoinHandle<()>,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl<T> Watch<T> {
    /// Wakes this waker as well, on every reason to look from now on.
    pub(super) fn attach(&self, waker: &Arc<Waker>) {
        self.wakers.attach(waker);
    }

    pub(super) fn wake(&self, by: WokenBy) {
        self.wakers.wake(by);
    }

    /// Another program has begun to poll the same file. The kernel wakes the
    /// newest poller first (`add_wait_queue`), mostly on the CPU where the others
    /// would run too. So this watch registers again, and is the newest once more.
    pub(super) fn reregister(&self) {
        self.reregister.notify_one();
    }
}

impl Watch<Occupancy> {
    /// `doubt` says how far the hub relies on its sources of wake-ups.
    pub(super) fn cgroup(
        pinned: Occupancy,
        tier: Backend,
        doubt: watch::Receiver<Doubt>,
        directories: Arc<Directories>,
    ) -> Self {
        let pinned = Arc::new(pinned);
        let wakers = Arc::new(Wakers::default());
        let reregister = Arc::new(Notify::new());
        let follower = Follower {
            pinned: Arc::clone(&pinned),
            wakers: Arc::clone(&wakers),
            reregister: Arc::clone(&reregister),
            tier,
            doubt,
            directories,
        };
        let follower = follower.follow();
        Self {
            pinned,
            wakers,
            reregister,
            follower: tokio::spawn(follower),
        }
    }
}

impl Watch<PinnedProcess> {
    pub(super) fn process(pinned: PinnedProcess) -> Self {
        let pinned = Arc::new(pinned);
        let wakers = Arc::new(Wakers::default());
        let reregister = Arc::new(Notify::new());
        let follower = follow_process(
            Arc::clone(&pinned),
            Arc::clone(&wakers),
            Arc::clone(&reregister),
        );
        Self {
            pinned,
            wakers,
            reregister,
            follower: tokio::spawn(follower),
        }
    }
}

/// Looks of the timer before inotify is set up: most waits are over by then.
const LOOKS_BEFORE_INOTIFY: u32 = 3;

struct Follower {
    pinned: Arc<Occupancy>,
    wakers: Arc<Wakers>,
    reregister: Arc<Notify>,
    tier: Backend,
    doubt: watch::Receiver<Doubt>,
    directories: Arc<Directories>,
}

impl Follower {
    async fn follow(mut self) {
        let pinned = Arc::clone(&self.pinned);
        let events = pinned
            .cgroup
            .events()
            .filter(|_| self.tier != Backend::Poll);
        let events = events.map(AsFd::as_fd);
        let mut ready = ready_fd(events, Interest::PRIORITY);
        let mut backoff = Backoff::new();
        let mut timed = 0;
        let mut has_inotify = None;
        loop {
            let is_alone = self.doubt.has_changed().is_err();
            let mut doubt = match *self.doubt.borrow_and_update() {
                // The hub is gone, and its ring with it.
                _ if is_alone => Doubt::Always,
                // For a v2 cgroup the BPF programs rely on a poller of this file.
                _ if ready.is_none() && pinned.is_v2() => Doubt::Always,
                doubt => doubt,
            };
            if doubt == Doubt::Always && timed >= LOOKS_BEFORE_INOTIFY && self.tier != Backend::Poll
            {
                let has_inotify = *has_inotify.get_or_insert_with(|| self.watch_directory());
                // v1 has nothing but this and the timer.
                if has_inotify && ready.is_some() {
                    doubt = Doubt::Late;
                }
            }
            let next_look = Instant::now() + backoff.next_delay(doubt);
            let by = tokio::select! {
                biased;
                () = notified(ready.as_ref(), Interest::PRIORITY) => WokenBy::Events,
                () = self.reregister.notified() => {
                    drop(ready.take());
                    ready = ready_fd(events, Interest::PRIORITY);
                    continue;
                }
                _ = self.doubt.changed(), if !is_alone => {
                    backoff = Backoff::new();
                    WokenBy::Timer
                }
                () = sleep_until(next_look) => {
                    timed += 1;
                    WokenBy::Timer
                }
            };
            self.wakers.wake(by);
        }
    }

    fn watch_directory(&self) -> bool {
        self.directories
            .attach(self.pinned.cgroup.as_fd(), &self.wakers)
    }
}

async fn follow_process(pinned: Arc<PinnedProcess>, wakers: Arc<Wakers>, reregister: Arc<Notify>) {
    let mut pidfd = ready_fd(pinned.pidfd(), Interest::READABLE);
    // A kernel that keeps a status (6.15) also hangs up at the reap (6.9).
    let tells_of_reaping = pinned
        .pidfd()
        .is_some_and(|pidfd| pidfd_info::exit_status(pidfd).is_ok());
    let mut backoff = Backoff::new();
    loop {
        let has_exited = || pinned.state().is_ok_and(ProcessState::has_exited);
        let doubt = if pidfd.is_none() || !tells_of_reaping && has_exited() {
            Doubt::Always
        } else {
            Doubt::None
        };
        let next_look = Instant::now() + backoff.next_delay(doubt);
        let by = tokio::select! {
            biased;
            () = notified(pidfd.as_ref(), Interest::READABLE) => WokenBy::Pidfd,
            () = reregister.notified() => {
                drop(pidfd.take());
                pidfd = ready_fd(pinned.pidfd(), Interest::READABLE);
                continue;
            }
            () = sleep_until(next_look) => WokenBy::Timer,
        };
        // Read before the wake-up, so that the look that follows sees it too.
        let is_over = pinned
            .state()
            .is_ok_and(|state| state == ProcessState::Reaped);
        wakers.wake(by);
        // No further wake-up follows a reap, and a pidfd that hung up stays ready
        // for good: awaiting it again would starve all other tasks.
        if is_over {
            return;
        }
    }
}

/// A descriptor that cannot be registered leaves the work to the timer.
fn ready_fd(fd: Option<BorrowedFd<'_>>, interest: Interest) -> Option<AsyncFd<BorrowedFd<'_>>> {
    fd.map(|fd| register(fd, interest))
        .transpose()
        .unwrap_or_else(|error: io::Error| {
            tracing::warn!(%error, "cannot wait for a descriptor: the timer serves");
            None
        })
}

async fn notified(fd: Option<&AsyncFd<BorrowedFd<'_>>>, interest: Interest) {
    if let Some(fd) = fd
        && let Ok(mut ready) = fd.ready(interest).await
    {
        ready.clear_ready();
        return;
    }
    pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        sync::mpsc::channel,
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn following_a_reaped_process_does_not_starve_other_tasks() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("there is a cat");
        let pinned = PinnedProcess::open(child.id(), Backend::Pidfd).expect("it lives");
        drop(child.stdin.take());
        child.wait().expect("our child");
        let (tell, told) = channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let watch = Watch::process(pinned);
                while !watch.follower.is_finished() {
                    tokio::task::yield_now().await;
                }
            });
            tell.send(()).expect("the test listens");
        });
        told.recv_timeout(Duration::from_secs(30))
            .expect("the follower comes to its end");
    }

    #[tokio::test]
    async fn a_watch_that_reregisters_is_still_woken() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("there is a cat");
        let pinned = PinnedProcess::open(child.id(), Backend::Pidfd).expect("it lives");
        let watch = Watch::process(pinned);
        let waker = Waker::new();
        watch.attach(&waker);
        for _ in 0..2 {
            watch.reregister();
            // The follower comes to its next look.
            tokio::task::yield_now().await;
        }
        drop(child.stdin.take());
        let woken = tokio::time::timeout(Duration::from_secs(30), async {
            while waker.woken().await != WokenBy::Pidfd {}
        });
        woken.await.expect("not by the timer alone");
        child.wait().expect("our child");
    }
}
