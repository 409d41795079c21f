//! Reports exits while a session waits, and finds the exit status of one process.

use std::{future::pending, io};

use probe_user::{
    model::{ExitStatus, LossReason, Until},
    unstable::{
        bpf::{counters::StreamLosses, ring::Stream},
        clock::boottime_ns,
        proc::pinned::PinnedProcess,
        readiness::register,
        wait::{Target, condition::Answer},
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Session, WaitError};
use crate::output::{above_progress, is_closed, reporter::Reporter};

/// The ring of exit records, once BPF has joined.
pub(super) struct Exits(Option<AsyncFd<Stream>>);

impl Exits {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(stream: Stream) -> io::Result<Self> {
        register(stream, Interest::READABLE).map(|stream| Self(Some(stream)))
    }

    /// Resolves when the ring is filled so far that it should be drained, or never without a
    /// ring. Records wake no reader before that, because a reader that ran for each record
    /// would take the CPU from the exiting tasks.
    pub(super) async fn filled(&self) -> io::Result<()> {
        match &self.0 {
            None => pending().await,
            Some(stream) => {
                stream.readable().await?.clear_ready();
                Ok(())
            }
        }
    }

    /// Drains the ring and prints its records.
    pub(super) fn report(&mut self, reporter: &mut Reporter) -> io::Result<()> {
        let Some(stream) = &mut self.0 else {
            return Ok(());
        };
        reporter.printer.clock.sync();
        let reported = stream.get_mut().drain(|timed| reporter.report(timed));
        flush_or_discard(reporter, reported)
    }

    /// Prints the remaining records, then the losses. `losses` are the counts of the kernel
    /// since BPF was loaded; `None` if the programs are gone, and exits with them.
    fn report_rest(
        &mut self,
        reporter: &mut Reporter,
        losses: Option<StreamLosses>,
    ) -> io::Result<()> {
        let Some(stream) = &mut self.0 else {
            return Ok(());
        };
        reporter.printer.clock.sync();
        let stream = stream.get_mut();
        let reported = stream.drain_until(boottime_ns(), |timed| reporter.report(timed));
        flush_or_discard(reporter, reported)?;
        let reported = match losses {
            Some(losses) => stream.report_losses(losses, |timed| reporter.report(timed)),
            None => reporter.lose(LossReason::BpfGone),
        };
        flush_or_discard(reporter, reported.map(|()| 1))
    }
}

impl Session {
    /// Prints the exits that were recorded so far.
    pub(super) fn report_exits(&mut self) -> io::Result<()> {
        let Self {
            exits, reporter, ..
        } = self;
        above_progress(|| exits.report(reporter))
    }

    /// Prints the last exits, and the losses. Without a source of exits they are unknown.
    pub(super) fn report_last_exits(&mut self) -> io::Result<()> {
        let losses = self.hub.stream_losses();
        self.exits.report_rest(&mut self.reporter, losses)?;
        let had_source = self.exits.0.is_some() || self.daemon.reports_exits();
        if !had_source && self.has_waited {
            self.reporter.reported.lost.add(None);
        }
        Ok(())
    }

    /// Ends the reports of a ring that cannot be read any more.
    pub(super) fn lose_ring(&mut self) -> io::Result<()> {
        self.exits = Exits::none();
        let lost = self.reporter.lose(LossReason::BpfGone);
        flush_or_discard(&mut self.reporter, lost.map(|()| 1))
    }

    /// Requires the exit status of this process: the wait is not done until the status is
    /// known, or the process is reaped with an unknown status.
    pub(crate) fn want_status(&mut self, process: PinnedProcess) -> Result<(), WaitError> {
        // Without its start a record cannot be told from that of a later process with the pid.
        let start_ticks = process.start_ticks();
        self.reporter.status_of = start_ticks.map(|start| (process.tgid, start));
        let target = Target {
            processes: vec![process.try_clone().map_err(WaitError::Look)?],
            ..Target::default()
        };
        let reaped = self.set.arm_beside(&self.hub, target, Until::Reaped);
        self.status_of = Some((process, reaped.map_err(WaitError::Look)?));
        Ok(())
    }

    /// Whether the status of the process of [`Session::want_status`] is still unknown, but
    /// may become known.
    pub(super) fn lacks_status(&mut self) -> Result<bool, WaitError> {
        self.report_exits().map_err(WaitError::Write)?;
        if self.status().is_some() {
            return Ok(false);
        }
        let Some((_, reaped)) = &mut self.status_of else {
            return Ok(false);
        };
        Ok(reaped.look().map_err(WaitError::Look)? == Answer::No)
    }

    /// The exit status of the process of [`Session::want_status`], from a record or from its
    /// pidfd.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.reporter.status.or_else(|| {
            let (process, _) = self.status_of.as_ref()?;
            let status = process.wait_status()?;
            Some(ExitStatus::from_wait_status(status))
        })
    }
}

/// Flushes stdout. If its reader has gone, discards further output instead of ending the wait,
/// because scripts need the exit code.
pub(super) fn flush_or_discard(
    reporter: &mut Reporter,
    reported: io::Result<usize>,
) -> io::Result<()> {
    match reported.and_then(|_count| reporter.printer.out.flush()) {
        Err(error) if is_closed(&error) => {
            reporter.printer.out.discard_output();
            Ok(())
        }
        reported => reported,
    }
}
