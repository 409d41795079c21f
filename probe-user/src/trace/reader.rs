//! Reads the stream ring of attached programs: when to drain it, when to sleep, and how
//! many records were lost.
//!
//! Records do not wake the reader, because a wake-up costs the exiting task ten
//! microseconds. The reader therefore drains the ring on a timer while records arrive.
//! After a second without a record it asks the ring for one wake-up ("parks") and sleeps
//! without a timer.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Interval,
};

use crate::{
    bpf::{
        load::{Attached, LoadError, Rings},
        ring::Stream,
    },
    clock::{boottime_ns, ticks},
    model::Timed,
    readiness::register,
};

/// How long a reader keeps its timer after the last record.
const IDLE: Duration = Duration::from_secs(1);
/// How often the loss counters are read. They include losses that no record reports.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// Why the stream ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The ring buffer could not be registered or polled.
    #[error("cannot wait for the ring buffer")]
    Wait(#[source] io::Error),
    /// A map of the BPF programs could not be read or written.
    #[error("cannot read the maps of the BPF programs")]
    Map(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<LoadError> for StreamError {
    fn from(error: LoadError) -> Self {
        Self::Map(Box::new(error))
    }
}

/// Whether a reader drains on its timer or sleeps until the next record.
#[derive(Debug)]
pub struct Pacing {
    last_record: Instant,
    is_parked: bool,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            last_record: Instant::now(),
            is_parked: false,
        }
    }
}

impl Pacing {
    /// Whether the reader sleeps without a timer.
    #[must_use]
    pub const fn is_parked(&self) -> bool {
        self.is_parked
    }

    /// Notes that the ring woke the reader. That used up the request for a wake-up, so the
    /// timer runs again, even if another caller has drained the record meanwhile.
    pub fn woken(&mut self) {
        self.last_record = Instant::now();
        self.is_parked = false;
    }

    /// Notes that a drain found `count` records. Returns whether the reader should ask the
    /// ring for a wake-up and then drain once more, see [`Pacing::parked`].
    #[must_use]
    pub fn drained(&mut self, count: usize) -> bool {
        if count > 0 {
            self.woken();
        }
        !self.is_parked && self.last_record.elapsed() > IDLE
    }

    /// Notes that the drain after the request for a wake-up found `count` records. Such
    /// records came before the request and did not use it up.
    pub fn parked(&mut self, count: usize) {
        self.is_parked = count == 0;
        if count > 0 {
            self.last_record = Instant::now();
        }
    }
}

/// Reads the stream of attached programs. Dropping the reader detaches them.
pub struct StreamReader {
    ring: AsyncFd<Stream>,
    attached: Attached,
    tick: Interval,
    pacing: Pacing,
    counters_read: Instant,
}

impl StreamReader {
    /// A reader of attached programs, which drains every `every` while records arrive.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn new(
        (attached, mut rings): (Attached, Rings),
        every: Duration,
    ) -> Result<Self, StreamError> {
        rings.stream.ignore_skipped(attached.recursion_misses());
        Ok(Self {
            ring: register(rings.stream, Interest::READABLE).map_err(StreamError::Wait)?,
            attached,
            tick: ticks(every),
            pacing: Pacing::default(),
            counters_read: Instant::now(),
        })
    }

    /// See [`Stream::v1_hierarchy`].
    #[must_use]
    pub fn v1_hierarchy(&self) -> Option<u32> {
        self.ring.get_ref().v1_hierarchy()
    }

    /// Resolves when the ring should be drained. Cancel safe.
    pub async fn due(&mut self) -> Result<(), StreamError> {
        poll_fn(|context| self.poll_due(context)).await
    }

    /// [`StreamReader::due`] for the implementation of a stream.
    pub(crate) fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if let Poll::Ready(ready) = self.ring.poll_read_ready(context) {
            ready.map_err(StreamError::Wait)?.clear_ready();
            self.pacing.woken();
            return Poll::Ready(Ok(()));
        }
        if !self.pacing.is_parked() && self.tick.poll_tick(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Passes the events in the ring to `sink`, with losses where they happened, and once
    /// a second the losses that no record reports.
    pub fn drain<E: From<StreamError>>(
        &mut self,
        mut sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = self.ring.get_mut().drain(&mut sink)?;
        if self.pacing.drained(count) {
            let parked = self.ring.get_mut().park();
            parked.map_err(|error| StreamError::Map(Box::new(error)))?;
            let count = self.ring.get_mut().drain(&mut sink)?;
            self.pacing.parked(count);
            // Parking writes to a map, and the kernel skips a classic tracepoint program
            // during that write. No record reports such a loss, so the counters are read.
            return self.report_losses(sink);
        }
        if self.counters_read.elapsed() > COUNTERS_EVERY {
            self.report_losses(sink)?;
        }
        Ok(())
    }

    /// Passes all events until now to `sink`, and the losses. The last call to a reader.
    pub fn finish<E: From<StreamError>>(
        &mut self,
        mut sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ring.get_mut().drain_until(boottime_ns(), &mut sink)?;
        self.report_losses(sink)
    }

    fn report_losses<E: From<StreamError>>(
        &mut self,
        sink: impl FnMut(Timed) -> Result<(), E>,
    ) -> Result<(), E> {
        self.counters_read = Instant::now();
        self.attached.flush_log();
        let now = self.attached.stream_losses().map_err(StreamError::from)?;
        self.ring.get_mut().report_losses(now, sink)
    }
}
