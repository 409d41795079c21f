//! `probe wait`: until a cgroup is empty.
//!
//! Subscribe, then check, then check again on every wake-up: the ring buffer,
//! `cgroup.events` and the timer are armed side by side and the first one wins.
//! Exit records wake nobody: a reader that wakes for them takes the CPU from
//! the task that is dying.

use std::{
    fs::File,
    future::{Future, pending},
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::{Pin, pin},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until},
};

use super::{
    places::Places,
    teller::{Teller, Told},
};
use crate::{
    container::Resolver,
    filter::Wanted,
    output::{Out, human::Columns, is_closed},
    source::{
        cgroup_events::PinnedCgroup,
        cgroupfs::{self, Mount},
        load::{Attached, LoadError, Rings},
        readiness::register,
        ring::{Stream, drain_all},
    },
    waiter::{Backoff, Doubt, EmptyWait, Level, Outcome},
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
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The verdict.
    pub outcome: Outcome,
    /// `None` if nothing had to wake us.
    pub woken_by: Option<WokenBy>,
    /// Records printed and lost.
    pub told: Told,
}

impl Ended {
    /// By the first look.
    #[must_use]
    pub const fn at_once(outcome: Outcome) -> Self {
        Self {
            outcome,
            woken_by: None,
            told: Told {
                seen: 0,
                shown: 0,
                lost: 0,
            },
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
    /// The kernel half's maps did not answer.
    #[error(transparent)]
    Map(#[from] LoadError),
}

/// The BPF half of a wait.
struct Bpf {
    attached: Attached,
    stream: AsyncFd<Stream>,
    decisive: AsyncFd<RingBuf<MapData>>,
    lost: u64,
}

/// Reads what the cgroup is, once.
pub fn look(pinned: &PinnedCgroup) -> Result<Level, WaitError> {
    pinned.level().map_err(WaitError::Level)
}

/// Waits. `bpf` must already watch the cgroup.
pub async fn run(
    settings: Settings,
    pinned: &PinnedCgroup,
    bpf: Option<(Attached, Rings)>,
    place: (Vec<Mount>, Mount),
    out: Out<File>,
    resolver: Resolver,
    stop: impl Future<Output = ()>,
) -> Result<(Ended, Out<File>), WaitError> {
    let (mounts, subtree) = place;
    let mut bpf = bpf.map(Bpf::new).transpose()?;
    let places = Places::new(mounts, resolver);
    let mut teller = Teller::new(settings.wanted, settings.columns, places, out);
    Places::feed_subtree(&mut teller.tracker, &subtree, pinned.id);
    tracing::info!(
        "armed: {} processes live",
        pinned.members().map_or(0, |members| members.len())
    );
    let deadline = settings.timeout.map(|timeout| Instant::now() + timeout);
    let events = pinned
        .events()
        .map(|events| register(events.as_fd(), Interest::PRIORITY))
        .transpose()
        .map_err(WaitError::Wait)?;
    let (outcome, woken_by) =
        wait(pinned, &mut bpf, events, &mut teller, deadline, pin!(stop)).await?;
    if let Some(bpf) = &mut bpf {
        bpf.tell(&mut teller)?;
        bpf.tell_unreported_loss(&mut teller)?;
    }
    let ended = Ended {
        outcome,
        woken_by,
        told: teller.told,
    };
    Ok((ended, teller.out))
}

async fn wait(
    pinned: &PinnedCgroup,
    bpf: &mut Option<Bpf>,
    events: Option<AsyncFd<BorrowedFd<'_>>>,
    teller: &mut Teller,
    deadline: Option<Instant>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<(Outcome, Option<WokenBy>), WaitError> {
    let mut condition = EmptyWait::looked_before();
    let mut backoff = Backoff::new();
    let mut woken_by = None;
    loop {
        if let Some(outcome) = condition.check(look(pinned)?) {
            return Ok((outcome, woken_by));
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok((Outcome::Timeout, None));
        }
        let doubt = match bpf {
            None => Doubt::Always,
            Some(bpf) => {
                bpf.tell(teller)?;
                bpf.doubt()?
            }
        };
        let next_look = Instant::now() + backoff.next_delay(doubt);
        let next_look = deadline.map_or(next_look, |deadline| next_look.min(deadline));
        woken_by = tokio::select! {
            biased;
            () = &mut stop => return Ok((Outcome::Interrupted, None)),
            woken = notified(events.as_ref()) => woken.map(|()| Some(WokenBy::Events)),
            woken = decided(bpf.as_mut()) => woken.map(|()| Some(WokenBy::Ring)),
            () = sleep_until(next_look) => Ok(Some(WokenBy::Timer)),
        }
        .map_err(WaitError::Wait)?;
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

/// Resolves when the decisive ring has a record, or the stream so many that
/// they should be fetched.
async fn decided(bpf: Option<&mut Bpf>) -> io::Result<()> {
    let Some(bpf) = bpf else {
        return pending().await;
    };
    tokio::select! {
        biased;
        ready = bpf.decisive.readable_mut() => {
            let mut ready = ready?;
            drain_all(ready.get_inner_mut());
            ready.clear_ready();
        }
        ready = bpf.stream.readable() => ready?.clear_ready(),
    }
    Ok(())
}

impl Bpf {
    fn new((attached, rings): (Attached, Rings)) -> Result<Self, WaitError> {
        let Rings { stream, decisive } = rings;
        Ok(Self {
            attached,
            stream: register(stream, Interest::READABLE).map_err(WaitError::Wait)?,
            decisive: register(decisive, Interest::READABLE).map_err(WaitError::Wait)?,
            lost: 0,
        })
    }

    fn tell(&mut self, teller: &mut Teller) -> Result<(), WaitError> {
        teller.clock.sync();
        let told = self
            .stream
            .get_mut()
            .drain(|timed| teller.tell(timed))
            .and_then(|_count| teller.out.flush());
        self.attached.flush_log();
        heard(teller, told)
    }

    fn tell_unreported_loss(&mut self, teller: &mut Teller) -> Result<(), WaitError> {
        use crate::record::{LossReason, Record};
        let total = self.attached.stream_dropped()?;
        if let Some(count) = self.stream.get_mut().unreported_loss(total) {
            let reason = LossReason::RingFull;
            let told = teller.show(&Record::Lost { count, reason });
            return heard(teller, told);
        }
        Ok(())
    }

    /// Whether something was lost since the last look.
    fn doubt(&mut self) -> Result<Doubt, WaitError> {
        let lost = self.attached.decisive_dropped()?
            + self.attached.stream_dropped()?
            + self.attached.recursion_misses();
        let doubt = if lost == self.lost {
            Doubt::None
        } else {
            Doubt::Some
        };
        self.lost = lost;
        Ok(doubt)
    }
}

/// A reader that goes away ends no wait: the exit code is what a script waits
/// for.
fn heard(teller: &mut Teller, told: io::Result<()>) -> Result<(), WaitError> {
    match told {
        Err(error) if is_closed(&error) => {
            teller.out.go_deaf();
            Ok(())
        }
        told => told.map_err(WaitError::Write),
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
