//! `probe wait`: until a cgroup is empty.
//!
//! Subscribe, then check, then check again on every wake-up: the ring buffer,
//! `cgroup.events` and the timer are armed side by side and the first one wins.
//! Exit records wake nobody: a reader that wakes for them takes the CPU from
//! the task that is dying. The BPF half joins while the wait runs (`bpf.rs`).

mod bpf;

use std::{
    future::{Future, pending},
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::{Pin, pin},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    time::{Instant, sleep_until},
};

pub use self::bpf::Loaded;
use self::bpf::{Bpf, News};

use super::{
    places::Places,
    teller::{Teller, Told},
};
use crate::{
    container::Resolver,
    filter::Wanted,
    output::{Out, Stdout, human::Columns},
    source::{
        cgroup_events::PinnedCgroup,
        cgroupfs::{self, Mount},
        readiness::register,
    },
    waiter::{Backend, Backoff, EmptyWait, Level, Outcome},
};

/// What a wait is to do.
#[derive(Debug)]
pub struct Settings {
    /// Which exits are reported.
    pub wanted: Wanted,
    /// Columns; `None` for JSON.
    pub columns: Option<Columns>,
    /// How long to wait at most.
    pub timeout: Option<Duration>,
}

/// What led to the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// A record of the decisive ring.
    Ring,
    /// A notification of `cgroup.events`.
    Events,
    /// The timer, which is always armed.
    Timer,
}

impl WokenBy {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Events => "events",
            Self::Timer => "timer",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The verdict.
    pub outcome: Outcome,
    /// What served, in the order in which it came.
    pub backends: Vec<Backend>,
    /// `None` if nothing had to wake us.
    pub woken_by: Option<WokenBy>,
    /// Records printed and lost.
    pub told: Told,
}

impl Ended {
    /// By the first look.
    #[must_use]
    pub fn at_once(outcome: Outcome, backend: Backend) -> Self {
        Self {
            outcome,
            backends: vec![backend],
            woken_by: None,
            told: Told::default(),
        }
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The state of the cgroup could not be read.
    #[error("cannot read the state of the cgroup")]
    Level(#[source] io::Error),
    /// Nothing could be waited for.
    #[error("cannot wait")]
    Wait(#[source] io::Error),
    /// stdout took no more.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

/// Reads what the cgroup is, once.
pub fn look(pinned: &PinnedCgroup) -> Result<Level, WaitError> {
    pinned.level().map_err(WaitError::Level)
}

/// What wakes a wait that has no BPF (yet).
#[must_use]
pub fn unprivileged(pinned: &PinnedCgroup) -> Backend {
    if pinned.events().is_some() {
        Backend::Pidfd
    } else {
        Backend::Poll
    }
}

/// Waits. What `loading` brings must already watch the cgroup.
pub async fn run(
    settings: Settings,
    pinned: &PinnedCgroup,
    loading: oneshot::Receiver<Loaded>,
    place: (Vec<Mount>, Mount),
    out: Out<Stdout>,
    resolver: Resolver,
    stop: impl Future<Output = ()>,
) -> Result<(Ended, Out<Stdout>), WaitError> {
    let (mounts, subtree) = place;
    let places = Places::new(mounts, resolver);
    let mut teller = Teller::new(settings.wanted, settings.columns, places, out);
    Places::feed_subtree(&mut teller.tracker, &subtree, pinned.id);
    let events =
        pinned.events().and_then(
            |events| match register(events.as_fd(), Interest::PRIORITY) {
                Ok(events) => Some(events),
                Err(error) => {
                    tracing::warn!(%error, "cgroup.events cannot be waited for: the timer serves");
                    None
                }
            },
        );
    let mut wait = Wait {
        pinned,
        events,
        bpf: Bpf::new(loading),
        backends: vec![unprivileged(pinned)],
        backoff: Backoff::new(),
        teller,
        deadline: settings.timeout.map(|timeout| Instant::now() + timeout),
    };
    let (outcome, woken_by) = wait.until_empty(pin!(stop)).await?;
    wait.bpf
        .tell_all(&mut wait.teller)
        .map_err(WaitError::Write)?;
    let ended = Ended {
        outcome,
        woken_by,
        backends: wait.backends,
        told: wait.teller.told,
    };
    Ok((ended, wait.teller.out))
}

struct Wait<'a> {
    pinned: &'a PinnedCgroup,
    events: Option<AsyncFd<BorrowedFd<'a>>>,
    bpf: Bpf,
    backends: Vec<Backend>,
    backoff: Backoff,
    teller: Teller,
    deadline: Option<Instant>,
}

impl Wait<'_> {
    async fn until_empty(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(Outcome, Option<WokenBy>), WaitError> {
        let mut condition = EmptyWait::looked_before();
        let mut woken_by = None;
        loop {
            if let Some(outcome) = condition.check(look(self.pinned)?) {
                return Ok((outcome, woken_by));
            }
            if self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                return Ok((Outcome::Timeout, None));
            }
            self.bpf.tell(&mut self.teller).map_err(WaitError::Write)?;
            let next_look = self.next_look();
            woken_by = tokio::select! {
                biased;
                () = &mut stop => return Ok((Outcome::Interrupted, None)),
                woken = notified(self.events.as_ref()) => {
                    woken.map_err(WaitError::Wait)?;
                    Some(WokenBy::Events)
                }
                woken = self.bpf.woken() => match woken {
                    News::Record => Some(WokenBy::Ring),
                    News::Joined | News::Left => {
                        self.bpf_changed();
                        None
                    }
                },
                () = sleep_until(next_look) => Some(WokenBy::Timer),
            };
        }
    }

    fn next_look(&mut self) -> Instant {
        let was_armed = self.bpf.is_armed();
        let doubt = self.bpf.doubt();
        if was_armed && !self.bpf.is_armed() {
            self.bpf_changed();
        }
        let next = Instant::now() + self.backoff.next_delay(doubt);
        self.deadline.map_or(next, |deadline| next.min(deadline))
    }

    fn bpf_changed(&mut self) {
        self.backoff = Backoff::new();
        let live = self.pinned.members().map_or(0, |members| members.len());
        let now = if self.bpf.is_armed() {
            tracing::info!("armed: {live} processes live, no exit is missed from here on");
            Backend::Bpf
        } else {
            tracing::info!("armed: {live} processes live, but exits are not reported");
            unprivileged(self.pinned)
        };
        if self.backends.last() != Some(&now) {
            self.backends.push(now);
        }
    }
}

/// Resolves when `cgroup.events` changed since it was read last.
async fn notified(events: Option<&AsyncFd<BorrowedFd<'_>>>) -> io::Result<()> {
    match events {
        None => pending().await,
        Some(events) => {
            events.ready(Interest::PRIORITY).await?.clear_ready();
            Ok(())
        }
    }
}

/// The directory of a cgroup as a mount of its own, for a walk below it.
#[must_use]
pub fn as_subtree(mount: &Mount, directory: &std::path::Path) -> Option<Mount> {
    Some(Mount {
        mount_point: directory.to_owned(),
        root: cgroupfs::path_below(mount, directory)?,
        ..mount.clone()
    })
}
