//! The records of those that die while somebody waits.

use std::{future::pending, io};

use probe_user::{
    model::{Event, Process, Timed},
    unstable::{
        bpf::{counters::StreamLosses, ring::Stream},
        clock::boottime_ns,
        readiness::register,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::output::{is_closed, reporter::Teller};

/// The stream ring, once BPF has joined.
pub(super) struct Exits(Option<AsyncFd<Stream>>);

impl Exits {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(stream: Stream) -> io::Result<Self> {
        register(stream, Interest::READABLE).map(|stream| Self(Some(stream)))
    }

    /// Resolves when there are so many records that they should be fetched;
    /// never, where there are none.
    pub(super) async fn many(&self) -> io::Result<()> {
        match &self.0 {
            None => pending().await,
            Some(stream) => {
                stream.readable().await?.clear_ready();
                Ok(())
            }
        }
    }

    /// Prints what is in the ring by now.
    pub(super) fn tell(&mut self, teller: &mut Teller, moved: &mut Vec<Process>) -> io::Result<()> {
        let Some(stream) = &mut self.0 else {
            return Ok(());
        };
        teller.clock.sync();
        let told = stream
            .get_mut()
            .drain(|timed| tell_or_keep(teller, moved, timed));
        heard(teller, told)
    }

    /// The same for the last time: every exit that happened until now is told.
    /// `losses` is what the kernel has counted since the load.
    pub(super) fn tell_all(
        &mut self,
        teller: &mut Teller,
        moved: &mut Vec<Process>,
        losses: StreamLosses,
    ) -> io::Result<()> {
        let Some(stream) = &mut self.0 else {
            return Ok(());
        };
        teller.clock.sync();
        let stream = stream.get_mut();
        let told = stream.drain_by(boottime_ns(), |timed| tell_or_keep(teller, moved, timed));
        heard(teller, told)?;
        let told = stream.report_losses(losses, |timed| teller.tell(timed));
        heard(teller, told.map(|()| 1))
    }
}

fn tell_or_keep(teller: &mut Teller, moved: &mut Vec<Process>, timed: Timed) -> io::Result<()> {
    if let Event::Attached(_, process) = &timed.event {
        moved.push(process.clone());
    }
    teller.tell(timed)
}

/// A reader that goes away ends no wait: the exit code is what a script waits
/// for.
pub(super) fn heard(teller: &mut Teller, told: io::Result<usize>) -> io::Result<()> {
    match told.and_then(|_count| teller.out.flush()) {
        Err(error) if is_closed(&error) => {
            teller.out.go_deaf();
            Ok(())
        }
        told => told,
    }
}
