//! The BPF half of a wait: one more waker, and the records of those that die.
//!
//! Loading it takes tens of milliseconds, so a wait begins without it and it
//! joins when it is there.

use std::{future::pending, io};

use aya::maps::{MapData, RingBuf};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
};

use super::WaitError;
use crate::{
    output::is_closed,
    pipeline::teller::Teller,
    record::{LossReason, Record},
    source::{
        load::{Attached, LoadError, Rings},
        readiness::register,
        ring::{Stream, drain_all},
    },
    waiter::Doubt,
};

/// What the loader answers: programs that watch the cgroup, or why there are
/// none.
pub type Loaded = Result<(Attached, Rings), LoadError>;

/// On its way, there, or not to be had.
pub(super) enum Bpf {
    Loading(oneshot::Receiver<Loaded>),
    Armed(Box<Armed>),
    Absent,
}

impl Bpf {
    pub(super) fn new(loading: Option<oneshot::Receiver<Loaded>>) -> Self {
        loading.map_or(Self::Absent, Self::Loading)
    }

    pub(super) fn is_armed(&self) -> bool {
        matches!(self, Self::Armed(_))
    }

    /// Resolves when it joined, or when the decisive ring has a record; never,
    /// where there is none.
    pub(super) async fn woken(&mut self) -> Result<Woken, WaitError> {
        match self {
            Self::Absent => pending().await,
            Self::Armed(armed) => armed.decided().await.map(|()| Woken::ByRing),
            Self::Loading(loading) => {
                let loaded = loading.await;
                *self = match loaded {
                    Ok(Ok(loaded)) => Self::Armed(Box::new(Armed::new(loaded)?)),
                    Ok(Err(error)) => {
                        let error = anyhow::Error::from(error);
                        tracing::info!("without BPF: {error:#}");
                        Self::Absent
                    }
                    Err(_loader_gone) => Self::Absent,
                };
                Ok(Woken::ByJoining)
            }
        }
    }

    /// How far the timer may be trusted to be superfluous.
    pub(super) fn doubt(&mut self) -> Result<Doubt, WaitError> {
        match self {
            Self::Armed(armed) => armed.doubt(),
            Self::Loading(_) | Self::Absent => Ok(Doubt::Always),
        }
    }

    /// Prints the exits that are in the ring by now.
    pub(super) fn tell(&mut self, teller: &mut Teller) -> Result<(), WaitError> {
        match self {
            Self::Armed(armed) => armed.tell(teller),
            Self::Loading(_) | Self::Absent => Ok(()),
        }
    }

    /// The same for the last time: nothing may be left unsaid.
    pub(super) fn tell_all(&mut self, teller: &mut Teller) -> Result<(), WaitError> {
        match self {
            Self::Armed(armed) => armed.tell_all(teller),
            Self::Loading(_) | Self::Absent => Ok(()),
        }
    }
}

/// Why [`Bpf::woken`] resolved.
pub(super) enum Woken {
    ByRing,
    ByJoining,
}

/// Programs that run, and their rings.
pub(super) struct Armed {
    attached: Attached,
    stream: AsyncFd<Stream>,
    decisive: AsyncFd<RingBuf<MapData>>,
    lost: u64,
}

impl Armed {
    fn new((attached, rings): (Attached, Rings)) -> Result<Self, WaitError> {
        let Rings { stream, decisive } = rings;
        Ok(Self {
            attached,
            stream: register(stream, Interest::READABLE).map_err(WaitError::Wait)?,
            decisive: register(decisive, Interest::READABLE).map_err(WaitError::Wait)?,
            lost: 0,
        })
    }

    /// Resolves when the decisive ring has a record, or the stream so many that
    /// they should be fetched.
    async fn decided(&mut self) -> Result<(), WaitError> {
        tokio::select! {
            biased;
            ready = self.decisive.readable_mut() => {
                let mut ready = ready.map_err(WaitError::Wait)?;
                drain_all(ready.get_inner_mut());
                ready.clear_ready();
            }
            ready = self.stream.readable() => ready.map_err(WaitError::Wait)?.clear_ready(),
        }
        Ok(())
    }

    fn tell(&mut self, teller: &mut Teller) -> Result<(), WaitError> {
        self.tell_some(teller).map(|_count| ())
    }

    /// How many records were taken from the ring.
    fn tell_some(&mut self, teller: &mut Teller) -> Result<usize, WaitError> {
        teller.clock.sync();
        let mut taken = 0;
        let told = self
            .stream
            .get_mut()
            .drain(|timed| teller.tell(timed))
            .and_then(|count| {
                taken = count;
                teller.out.flush()
            });
        self.attached.flush_log();
        heard(teller, told)?;
        Ok(taken)
    }

    /// No more than the ring held: others may go on filling it.
    fn tell_all(&mut self, teller: &mut Teller) -> Result<(), WaitError> {
        for _ in 0..Stream::ROUNDS {
            if self.tell_some(teller)? < Stream::MOST {
                break;
            }
        }
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
