//! The exits that are reported while a session waits, and the exit status of one
//! process.

use std::{future::pending, io};

use probe_user::{
    model::{Event, ExitStatus, Process, Timed, Until},
    unstable::{
        bpf::{counters::StreamLosses, ring::Stream},
        clock::boottime_ns,
        proc::pinned::PinnedProcess,
        readiness::register,
        wait::{Target, condition::Answer},
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Session, WaitError, above_progress};
use crate::output::{is_closed, reporter::Reporter};

/// The stream ring, once BPF has joined.
pub(super) struct Exits(Option<AsyncFd<Stream>>);

impl Exits {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(stream: Stream) -> io::Result<Self> {
        register(stream, Interest::READABLE).map(|stream| Self(Some(stream)))
    }

    /// Resolves when the ring is so full that it should be read; never, if there is
    /// none. Records wake no reader before that: a reader that runs for each would
    /// take the CPU from the tasks that are exiting.
    pub(super) async fn many(&self) -> io::Result<()> {
        match &self.0 {
            None => pending().await,
            Some(stream) => {
                stream.readable().await?.clear_ready();
                Ok(())
            }
        }
    }

    /// Prints the records that are in the ring.
    pub(super) fn report(
        &mut self,
        reporter: &mut Reporter,
        moved: &mut Vec<Process>,
    ) -> io::Result<()> {
        let Some(stream) = &mut self.0 else {
            return Ok(());
        };
        reporter.clock.sync();
        let reported = stream
            .get_mut()
            .drain(|timed| report_or_keep(reporter, moved, timed));
        flush_or_discard(reporter, reported)
    }

    /// Prints the records that are left, and the losses: `losses` is what the kernel
    /// has counted since the load.
    pub(super) fn report_rest(
        &mut self,
        reporter: &mut Reporter,
        moved: &mut Vec<Process>,
        losses: StreamLosses,
    ) -> io::Result<()> {
        let Some(stream) = &mut self.0 else {
            return Ok(());
        };
        reporter.clock.sync();
        let stream = stream.get_mut();
        let reported = stream.drain_until(boottime_ns(), |timed| {
            report_or_keep(reporter, moved, timed)
        });
        flush_or_discard(reporter, reported)?;
        let reported = stream.report_losses(losses, |timed| reporter.report(timed));
        flush_or_discard(reporter, reported.map(|()| 1))
    }
}

impl Session {
    /// Prints the exits so far.
    pub(super) fn report_exits(&mut self) -> io::Result<()> {
        let mut moved = Vec::new();
        let Self {
            exits, reporter, ..
        } = self;
        above_progress(self.progress.as_ref(), || {
            exits.report(reporter, &mut moved)
        })?;
        self.follow_moved(&moved);
        Ok(())
    }

    /// Follows processes that were moved from one cgroup to another, if they belong
    /// to a target. A descendant of a member does too, even if no look saw it before
    /// it was moved.
    pub(super) fn follow_moved(&mut self, moved: &[Process]) {
        for process in moved {
            for wait in self.set.waits_mut() {
                let start_ns = process.start_boottime_ns;
                if wait.was_member(process.tgid, start_ns) || wait.was_born_to_member(process) {
                    wait.follow(process.tgid, start_ns);
                }
            }
        }
    }

    /// Requires the status of this process: the wait is not done before it is known,
    /// or the process is reaped without it.
    pub(crate) fn want_status(&mut self, process: PinnedProcess) -> Result<(), WaitError> {
        self.reporter.status_of = Some((process.tgid, process.start_ticks()));
        let target = Target {
            cgroups: Vec::new(),
            processes: vec![process.try_clone().map_err(WaitError::Look)?],
        };
        let reaped = self.set.arm_beside(&self.hub, target, Until::Reaped);
        self.status_of = Some((process, reaped.map_err(WaitError::Look)?));
        Ok(())
    }

    /// Whether the status of the process of [`Session::want_status`] is still
    /// unknown and may yet come.
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

    /// How the process of [`Session::want_status`] ended, if a record or its pidfd
    /// says so.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.reporter.status.or_else(|| {
            let (process, _) = self.status_of.as_ref()?;
            let status = process.wait_status()?;
            Some(ExitStatus::from_wait_status(status))
        })
    }
}

fn report_or_keep(
    reporter: &mut Reporter,
    moved: &mut Vec<Process>,
    timed: Timed,
) -> io::Result<()> {
    if let Event::Attached(_, process) = &timed.event {
        moved.push(process.clone());
    }
    reporter.report(timed)
}

/// A reader of stdout that goes away does not end the wait: scripts wait for the
/// exit code.
pub(super) fn flush_or_discard(
    reporter: &mut Reporter,
    reported: io::Result<usize>,
) -> io::Result<()> {
    match reported.and_then(|_count| reporter.out.flush()) {
        Err(error) if is_closed(&error) => {
            reporter.out.discard_output();
            Ok(())
        }
        reported => reported,
    }
}
