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

use crate::{
    output::is_closed,
    pipeline::teller::Teller,
    record::{LossReason, Record},
    source::{
        clock::boottime_ns,
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
    pub(super) const fn new(loading: oneshot::Receiver<Loaded>) -> Self {
        Self::Loading(loading)
    }

    pub(super) fn is_armed(&self) -> bool {
        matches!(self, Self::Armed(_))
    }

    /// Resolves when it joined or fell away, or when the decisive ring has a
    /// record; never, where there is none.
    pub(super) async fn woken(&mut self) -> News {
        match self {
            Self::Absent => pending().await,
            Self::Armed(armed) => match armed.decided().await {
                Ok(()) => News::Record,
                Err(error) => self.leave(&error.into()),
            },
            Self::Loading(loading) => {
                let armed = match loading.await {
                    Ok(Ok(loaded)) => Armed::new(loaded).map_err(anyhow::Error::from),
                    Ok(Err(error)) => Err(error.into()),
                    Err(loader_gone) => Err(loader_gone.into()),
                };
                match armed {
                    Ok(armed) => {
                        *self = Self::Armed(Box::new(armed));
                        News::Joined
                    }
                    Err(error) => self.leave(&error),
                }
            }
        }
    }

    /// How far the timer may be trusted to be superfluous.
    pub(super) fn doubt(&mut self) -> Doubt {
        let Self::Armed(armed) = self else {
            return Doubt::Always;
        };
        match armed.doubt() {
            Ok(doubt) => doubt,
            Err(error) => {
                self.leave(&error.into());
                Doubt::Always
            }
        }
    }

    /// Prints the exits that are in the ring by now.
    pub(super) fn tell(&mut self, teller: &mut Teller) -> io::Result<()> {
        match self {
            Self::Armed(armed) => armed.tell(teller),
            Self::Loading(_) | Self::Absent => Ok(()),
        }
    }

    /// The same for the last time: nothing may be left unsaid.
    pub(super) fn tell_all(&mut self, teller: &mut Teller) -> io::Result<()> {
        match self {
            Self::Armed(armed) => armed.tell_all(teller),
            Self::Loading(_) | Self::Absent => Ok(()),
        }
    }

    /// The wait goes on: the other wakers never stopped.
    fn leave(&mut self, error: &anyhow::Error) -> News {
        tracing::info!("without BPF: {error:#}");
        *self = Self::Absent;
        News::Left
    }
}

/// Why [`Bpf::woken`] resolved.
pub(super) enum News {
    Record,
    Joined,
    Left,
}

/// Programs that run, and their rings.
pub(super) struct Armed {
    attached: Attached,
    stream: AsyncFd<Stream>,
    decisive: AsyncFd<RingBuf<MapData>>,
    lost: u64,
}

impl Armed {
    fn new((attached, rings): (Attached, Rings)) -> io::Result<Self> {
        let Rings { stream, decisive } = rings;
        Ok(Self {
            attached,
            stream: register(stream, Interest::READABLE)?,
            decisive: register(decisive, Interest::READABLE)?,
            lost: 0,
        })
    }

    /// Resolves when the decisive ring has a record, or the stream so many that
    /// they should be fetched.
    async fn decided(&mut self) -> io::Result<()> {
        tokio::select! {
            biased;
            ready = self.decisive.readable_mut() => {
                let mut ready = ready?;
                drain_all(ready.get_inner_mut());
                ready.clear_ready();
            }
            ready = self.stream.readable() => ready?.clear_ready(),
        }
        Ok(())
    }

    fn tell(&mut self, teller: &mut Teller) -> io::Result<()> {
        teller.clock.sync();
        let stream = self.stream.get_mut();
        let told = stream.drain(|timed| teller.tell(timed));
        self.attached.flush_log();
        heard(teller, told)
    }

    /// All that happened by now.
    fn tell_all(&mut self, teller: &mut Teller) -> io::Result<()> {
        teller.clock.sync();
        let stream = self.stream.get_mut();
        let told = stream.drain_by(boottime_ns(), |timed| teller.tell(timed));
        self.attached.flush_log();
        heard(teller, told)?;
        match self.attached.stream_dropped() {
            Err(error) => tracing::warn!(%error, "whether exits were lost is unknown"),
            Ok(total) => {
                if let Some(count) = self.stream.get_mut().unreported_loss(total) {
                    let reason = LossReason::RingFull;
                    let told = teller.show(&Record::Lost { count, reason });
                    return heard(teller, told.map(|()| 1));
                }
            }
        }
        Ok(())
    }

    /// Whether something was lost since the last look.
    fn doubt(&mut self) -> Result<Doubt, LoadError> {
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
fn heard(teller: &mut Teller, told: io::Result<usize>) -> io::Result<()> {
    match told.and_then(|_count| teller.out.flush()) {
        Err(error) if is_closed(&error) => {
            teller.out.go_deaf();
            Ok(())
        }
        told => told,
    }
}
