//! `probe trace`: the stream, from the ring to the screen.
//!
//! Records wake nobody (`emit.rs`), so the reader drains on a timer. A reader
//! that has seen nothing for a second asks for one wake-up and sleeps without a
//! timer until the next record.

pub mod daemon;

use std::{
    future::Future,
    io,
    ops::ControlFlow,
    pin::{Pin, pin},
    time::{Duration, Instant},
};

use probe_user::{
    model::{LossReason, Record, Timed, Wanted},
    unstable::{
        bpf::{
            load::{Attached, LoadError, Rings},
            ring::Stream,
        },
        cgroup::mounts::Mount,
        clock::boottime_ns,
        container::Resolver,
        readiness::register,
        trace::places::Places,
    },
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{MissedTickBehavior, interval},
};

use crate::output::{
    Out, Stdout,
    human::Columns,
    is_closed,
    reporter::{Teller, Told},
};

/// How long the reader goes on looking after the last record.
const IDLE: Duration = Duration::from_secs(1);
/// How often counters that no record tells of are read.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// What a trace is to do.
#[derive(Debug)]
pub struct Settings {
    /// What is shown.
    pub wanted: Wanted,
    /// Columns; `None` for JSON.
    pub columns: Option<Columns>,
    /// Ends after this many lines of records.
    pub count: Option<u64>,
    /// Time between two drains while records come.
    pub drain_every: Duration,
}

/// Why a trace ended early.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// stdout took no more, for another reason than being closed.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
    /// The ring could not be waited for.
    #[error("cannot wait for the ring buffer")]
    Wait(#[source] io::Error),
    /// A map did not answer.
    #[error("cannot read the kernel half's maps")]
    Map(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<LoadError> for TraceError {
    fn from(error: LoadError) -> Self {
        Self::Map(Box::new(error))
    }
}

/// A trace with everything it owns but the ring.
struct Trace {
    attached: Attached,
    teller: Teller,
    count: Option<u64>,
    drain_every: Duration,
    skipped: u64,
    counters_read: Instant,
}

/// Runs until `stop` resolves, the count is reached or stdout is closed.
pub async fn run(
    settings: Settings,
    (attached, rings): (Attached, Rings),
    mounts: Vec<Mount>,
    resolver: Resolver,
    out: Out<Stdout>,
    stop: impl Future<Output = ()>,
) -> Result<Told, TraceError> {
    let places = Places::new(mounts, resolver);
    let mut trace = Trace {
        skipped: attached.recursion_misses(),
        attached,
        teller: Teller::new(settings.wanted, settings.columns, places, out),
        count: settings.count,
        drain_every: settings.drain_every,
        counters_read: Instant::now(),
    };
    let Teller {
        places, tracker, ..
    } = &mut trace.teller;
    places.feed_all(tracker);
    let mut ring = register(rings.stream, Interest::READABLE).map_err(TraceError::Wait)?;
    let ended = trace.follow(&mut ring, pin!(stop)).await;
    match ended.and_then(|()| trace.finish(ring.get_mut())) {
        Err(TraceError::Write(error)) if is_closed(&error) => Ok(trace.teller.told),
        Err(error) => Err(error),
        Ok(()) => Ok(trace.teller.told),
    }
}

/// The names of the columns, if there are any.
pub fn write_header(columns: Option<&Columns>, out: &mut Out<Stdout>) -> Result<(), TraceError> {
    let Some(columns) = columns else {
        return Ok(());
    };
    let written = out.line(|line| columns.write_header(line));
    match written.and_then(|()| out.flush()) {
        // Whoever looks for a reader next finds that there is none.
        Err(error) if !is_closed(&error) => Err(TraceError::Write(error)),
        _ => Ok(()),
    }
}

impl Trace {
    async fn follow(
        &mut self,
        ring: &mut AsyncFd<Stream>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), TraceError> {
        let reader_gone = closed_stdout();
        let mut reader_gone = pin!(reader_gone);
        let mut tick = interval(self.drain_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_record = Instant::now();
        let mut is_parked = false;
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = &mut reader_gone => return Ok(()),
                ready = ring.readable() => ready.map_err(TraceError::Wait)?.clear_ready(),
                _ = tick.tick(), if !is_parked => {}
            }
            let (count, flow) = self.drain(ring.get_mut())?;
            if flow.is_break() {
                return Ok(());
            }
            if count > 0 {
                last_record = Instant::now();
                is_parked = false;
            } else if !is_parked && last_record.elapsed() > IDLE {
                ring.get_mut()
                    .park()
                    .map_err(|error| TraceError::Map(Box::new(error)))?;
                // A record may have come between the last look and the flag.
                let (count, flow) = self.drain(ring.get_mut())?;
                if flow.is_break() {
                    return Ok(());
                }
                is_parked = count == 0;
                // To ask is a write to a map, during which the kernel skips a
                // classic program: nobody else would tell of that.
                self.read_counters(ring.get_mut())?;
                self.teller.out.flush().map_err(TraceError::Write)?;
            }
        }
    }

    fn drain(&mut self, ring: &mut Stream) -> Result<(usize, ControlFlow<()>), TraceError> {
        self.teller.clock.sync();
        let count = ring
            .drain(|timed| self.tell(timed))
            .map_err(TraceError::Write)?;
        if self.counters_read.elapsed() > COUNTERS_EVERY && !self.is_enough() {
            self.read_counters(ring)?;
        }
        self.teller.out.flush().map_err(TraceError::Write)?;
        let flow = if self.is_enough() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        };
        Ok((count, flow))
    }

    fn tell(&mut self, timed: Timed) -> io::Result<()> {
        if self.is_enough() {
            return Ok(());
        }
        self.teller.tell(timed)
    }

    fn is_enough(&self) -> bool {
        self.count
            .is_some_and(|count| self.teller.told.shown >= count)
    }

    /// Losses that the records do not tell of.
    fn read_counters(&mut self, ring: &mut Stream) -> Result<(), TraceError> {
        self.counters_read = Instant::now();
        self.attached.flush_log();
        let skipped = self.attached.recursion_misses();
        let newly_skipped = skipped.saturating_sub(self.skipped);
        self.skipped = skipped;
        let dropped = ring.unreported_loss(self.attached.stream_dropped()?);
        let losses = [
            (dropped.unwrap_or(0), LossReason::RingFull),
            (newly_skipped, LossReason::Skipped),
        ];
        for (count, reason) in losses {
            if count > 0 {
                self.teller
                    .show(&Record::Lost { count, reason })
                    .map_err(TraceError::Write)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, ring: &mut Stream) -> Result<(), TraceError> {
        if !self.is_enough() {
            self.teller.clock.sync();
            ring.drain_by(boottime_ns(), |timed| self.tell(timed))
                .map_err(TraceError::Write)?;
        }
        if !self.is_enough() {
            self.read_counters(ring)?;
        }
        self.teller.out.flush().map_err(TraceError::Write)
    }
}

/// Resolves when the reader of stdout closes its end; never, where that cannot
/// be told (a file).
pub(super) async fn closed_stdout() {
    let stdout = rustix::io::dup(rustix::stdio::stdout())
        .map_err(io::Error::from)
        .and_then(|fd| register(fd, Interest::ERROR));
    if let Ok(stdout) = stdout
        && let Ok(_closed) = stdout.ready(Interest::ERROR).await
    {
        return;
    }
    std::future::pending::<()>().await;
}
