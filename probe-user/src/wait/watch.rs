//! [`Watch`], which wakes all waits for one cgroup or process whenever its state may have
//! changed.

use std::{
    future::{Future, pending},
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
    backoff::{Backoff, Reliability},
    directories::Directories,
    occupancy::Occupancy,
    waker::{Waker, Wakers, WokenBy},
};
use crate::{
    model::{Backend, ProcessState},
    proc::{pidfd_info, pinned::PinnedProcess},
    readiness::register,
};

/// A cgroup or process that is held open once for all its waits, and the task that wakes
/// them. Dropping it ends the task and closes the files.
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
    /// Holds `pinned` open, and starts the task that `follow` makes.
    fn start<F: Future<Output = ()> + Send + 'static>(
        pinned: T,
        follow: impl FnOnce(Arc<T>, Arc<Wakers>, Arc<Notify>) -> F,
    ) -> Self {
        let pinned = Arc::new(pinned);
        let wakers = Arc::<Wakers>::default();
        let reregister = Arc::<Notify>::default();
        let follower = follow(pinned.clone(), wakers.clone(), reregister.clone());
        Self {
            pinned,
            wakers,
            reregister,
            follower: tokio::spawn(follower),
        }
    }

    /// Wakes this waker, too, from now on.
    pub(super) fn attach(&self, waker: &Arc<Waker>) {
        self.wakers.attach(waker);
    }

    /// Watches for the removal of the cgroup too, from now on.
    pub(super) fn watch_removal(&self) {
        self.wakers.want_removal();
        self.reregister();
    }

    pub(super) fn wake(&self, by: WokenBy) {
        self.wakers.wake(by);
    }

    /// Registers with the kernel again, after another program has begun to poll the same file.
    /// The kernel wakes the newest poller first (`add_wait_queue`), mostly on the CPU on which
    /// the other pollers would run as well, and the new registration makes this poller the
    /// newest.
    pub(super) fn reregister(&self) {
        self.reregister.notify_one();
    }
}

impl Watch<Occupancy> {
    /// Watches a cgroup. `reliability` receives how reliable the hub's wake-up sources are.
    pub(super) fn cgroup(
        pinned: Occupancy,
        best_backend: Backend,
        reliability: watch::Receiver<Reliability>,
        directories: Arc<Directories>,
    ) -> Self {
        Self::start(pinned, |pinned, wakers, reregister| {
            follow_cgroup(
                pinned,
                wakers,
                reregister,
                best_backend,
                reliability,
                directories,
            )
        })
    }
}

impl Watch<PinnedProcess> {
    pub(super) fn process(pinned: PinnedProcess) -> Self {
        Self::start(pinned, follow_process)
    }
}

/// Timer wake-ups before inotify is set up for a wait until the cgroup is removed. Most waits are
/// shorter.
const WAKEUPS_BEFORE_INOTIFY: u32 = 3;

async fn follow_cgroup(
    pinned: Arc<Occupancy>,
    wakers: Arc<Wakers>,
    reregister: Arc<Notify>,
    best_backend: Backend,
    mut reliability: watch::Receiver<Reliability>,
    directories: Arc<Directories>,
) {
    let polls = best_backend != Backend::Poll;
    let events = pinned.cgroup.events().filter(|_| polls).map(AsFd::as_fd);
    let mut ready = ready_fd(events, Interest::PRIORITY);
    let mut backoff = Backoff::default();
    let mut timer_wakeups = 0;
    let mut has_inotify = None;
    loop {
        let has_no_hub = reliability.has_changed().is_err();
        let mut current = match *reliability.borrow_and_update() {
            // The ring is closed with the hub.
            _ if has_no_hub => Reliability::Low,
            // For a v2 cgroup the BPF programs rely on a poller of `cgroup.events`.
            _ if ready.is_none() && pinned.is_v2() => Reliability::Low,
            current => current,
        };
        if current == Reliability::Low && polls {
            let wants_removal = wakers.wants_removal();
            let has_inotify = wants_removal
                && timer_wakeups >= WAKEUPS_BEFORE_INOTIFY
                && *has_inotify
                    .get_or_insert_with(|| directories.attach(pinned.cgroup.as_fd(), &wakers));
            // Without `cgroup.events`, as on v1, the timer is needed often.
            if ready.is_some() && (has_inotify || !wants_removal) {
                current = Reliability::Notified;
            }
        }
        let next_look = Instant::now() + backoff.next_delay(current);
        let by = tokio::select! {
            biased;
            () = notified(ready.as_ref(), Interest::PRIORITY) => WokenBy::Events,
            () = reregister.notified() => {
                drop(ready.take());
                ready = ready_fd(events, Interest::PRIORITY);
                continue;
            }
            _ = reliability.changed(), if !has_no_hub => {
                backoff = Backoff::default();
                WokenBy::Timer
            }
            () = sleep_until(next_look) => {
                timer_wakeups += 1;
                WokenBy::Timer
            }
        };
        if by == WokenBy::Events {
            backoff.notified();
        }
        wakers.wake(by);
    }
}

async fn follow_process(pinned: Arc<PinnedProcess>, wakers: Arc<Wakers>, reregister: Arc<Notify>) {
    let mut pidfd = ready_fd(pinned.pidfd(), Interest::READABLE);
    // A kernel that keeps the exit status (6.15) also hangs up the pidfd at the reap (6.9).
    let reports_reap = pinned
        .pidfd()
        .is_some_and(|pidfd| pidfd_info::exit_status(pidfd).is_ok());
    let mut backoff = Backoff::default();
    loop {
        let has_exited = || pinned.state().is_ok_and(ProcessState::has_exited);
        let reliability = if pidfd.is_none() || !reports_reap && has_exited() {
            Reliability::Low
        } else {
            Reliability::Full
        };
        let next_look = Instant::now() + backoff.next_delay(reliability);
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
        // The state is read before the wake-up, so that the woken look sees at least this
        // state.
        let is_over = pinned
            .state()
            .is_ok_and(|state| state == ProcessState::Reaped);
        wakers.wake(by);
        // No further wake-up follows a reap. A pidfd that hung up stays ready forever, so
        // awaiting it again would starve all other tasks.
        if is_over {
            return;
        }
    }
}

/// Registers a descriptor; `None` if that fails, so that only the timer is left.
fn ready_fd(fd: Option<BorrowedFd<'_>>, interest: Interest) -> Option<AsyncFd<BorrowedFd<'_>>> {
    fd.map(|fd| register(fd, interest))
        .transpose()
        .unwrap_or_else(|error: io::Error| {
            tracing::warn!(%error, "cannot poll a descriptor: using the timer");
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
        process::{Child, Command, Stdio},
        sync::mpsc::channel,
        thread,
        time::Duration,
    };

    use super::*;

    /// A process that ends when the standard input of the child is closed.
    fn cat() -> (Child, PinnedProcess) {
        let mut command = Command::new("cat");
        let child = command.stdin(Stdio::piped()).spawn().expect("`cat` exists");
        let pinned = PinnedProcess::open(child.id(), Backend::Pidfd).expect("it lives");
        (child, pinned)
    }

    #[test]
    fn following_a_reaped_process_does_not_starve_other_tasks() {
        let (mut child, pinned) = cat();
        drop(child.stdin.take());
        child.wait().expect("our child");
        let (sender, receiver) = channel();
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
            sender.send(()).expect("the test waits");
        });
        receiver
            .recv_timeout(Duration::from_secs(30))
            .expect("the follower ends");
    }

    #[tokio::test]
    async fn a_watch_that_reregisters_is_still_woken() {
        let (mut child, pinned) = cat();
        let watch = Watch::process(pinned);
        let waker = Arc::<Waker>::default();
        watch.attach(&waker);
        for _ in 0..2 {
            watch.reregister();
            // Lets the follower register again.
            tokio::task::yield_now().await;
        }
        drop(child.stdin.take());
        let woken = tokio::time::timeout(Duration::from_secs(30), async {
            while waker.woken().await != WokenBy::Pidfd {}
        });
        woken.await.expect("the pidfd wakes the waker");
        child.wait().expect("our child");
    }
}
