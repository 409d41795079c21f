//! `probe trace`: filters the records of a stream and prints them.
//!
//! The records come from a daemon, or from BPF programs of this command. The library reads the
//! stream of the programs, and decides when to read it ([`StreamReader`]).

use std::{
    future::{Future, pending},
    io,
    pin::{Pin, pin},
    time::Duration,
};

use probe_daemon::client::{ClientError, Records};
use probe_user::{
    model::{Record, Timed},
    unstable::{
        bpf::load::{Attached, Rings},
        cgroup::mounts::Mounts,
        readiness::register,
        trace::{StreamError, reader::StreamReader},
    },
};
use tokio::{io::Interest, time::Instant};

use crate::{
    deadline::until,
    output::{
        ignore_closed, is_closed,
        reporter::{ReportOptions, Reported, Reporter},
    },
};

/// Why a trace ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// A write to stdout failed, and its reader has not gone.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
    /// The stream of records ended.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// A trace, whichever stream it reads.
pub(crate) struct Trace {
    reporter: Reporter,
    /// The trace ends after this many records.
    count: Option<u64>,
    /// Time between two writes while records arrive.
    drain_every: Duration,
}

impl Trace {
    pub(crate) fn new(options: ReportOptions, count: Option<u64>, drain_every: Duration) -> Self {
        Self {
            reporter: Reporter::new(options),
            count,
            drain_every,
        }
    }

    pub(crate) const fn reported(&self) -> Reported {
        self.reporter.reported
    }

    /// The cgroup mounts.
    pub(crate) const fn mounts(&self) -> &Mounts {
        &self.reporter.lookup.mounts
    }

    /// Learns the paths of all cgroups. The BPF programs, which report later cgroups, are attached
    /// before, and the trace is announced afterwards: then every exit has a path.
    pub(crate) fn learn_cgroups(&mut self, rings: &Rings) {
        let Reporter {
            lookup, tracker, ..
        } = &mut self.reporter;
        tracker.name_v1(rings.stream.v1_hierarchy());
        lookup.add_all_cgroups(tracker);
    }

    /// Prints the names of the columns. If the reader has gone, the next write fails too.
    pub(crate) fn print_header(&mut self) -> Result<(), TraceError> {
        ignore_closed(self.reporter.printer.print_header()).map_err(TraceError::Write)
    }

    /// Prints the records of a daemon until `stop` resolves, the count is reached, or stdout is
    /// closed. If the stream of the daemon ends before, returns the reason.
    pub(crate) async fn follow_daemon(
        &mut self,
        records: Records,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<ClientError>, TraceError> {
        unless_closed(self.print_all(records, stop).await)
    }

    async fn print_all(
        &mut self,
        mut records: Records,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<ClientError>, TraceError> {
        let mut reader_gone = pin!(closed_stdout());
        let mut flush_at = None;
        let mut reason = None;
        while reason.is_none() && !self.has_reached_count() {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = &mut reader_gone => break,
                next = records.next() => match next {
                    Ok(Some(record)) => self.print_from_daemon(&record, &mut flush_at)?,
                    Ok(None) => reason = Some(ClientError::Gone),
                    Err(error) => reason = Some(error),
                },
                () = until(flush_at) => {
                    flush_at = None;
                    self.flush()?;
                }
            }
        }
        self.flush()?;
        Ok(reason)
    }

    fn print_from_daemon(
        &mut self,
        record: &Record,
        flush_at: &mut Option<Instant>,
    ) -> Result<(), TraceError> {
        let is_wanted = self.reporter.wanted.admits_from_daemon(record);
        if is_wanted && flush_at.is_none() {
            self.reporter.printer.clock.sync();
            *flush_at = Some(Instant::now() + self.drain_every);
        }
        let written = self.reporter.count(record, is_wanted);
        written.map_err(TraceError::Write)
    }

    /// Prints the records of BPF programs until `stop` resolves, the count is reached, or stdout
    /// is closed.
    pub(crate) async fn follow_bpf(
        &mut self,
        loaded: (Attached, Rings),
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), TraceError> {
        let mut reader = StreamReader::new(loaded, self.drain_every)?;
        unless_closed(self.drain_all(&mut reader, stop).await)
    }

    async fn drain_all(
        &mut self,
        reader: &mut StreamReader,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), TraceError> {
        let mut reader_gone = pin!(closed_stdout());
        while !self.has_reached_count() {
            tokio::select! {
                () = &mut stop => break,
                () = &mut reader_gone => break,
                due = reader.due() => due?,
            }
            self.reporter.printer.clock.sync();
            reader.drain(|timed| self.print(timed))?;
            self.flush()?;
        }
        if !self.has_reached_count() {
            self.reporter.printer.clock.sync();
            reader.finish(|timed| self.print(timed))?;
        }
        self.flush()
    }

    fn print(&mut self, timed: Timed) -> Result<(), TraceError> {
        if self.has_reached_count() {
            return Ok(());
        }
        self.reporter.report(timed).map_err(TraceError::Write)
    }

    fn flush(&mut self) -> Result<(), TraceError> {
        let flushed = self.reporter.printer.out.flush();
        flushed.map_err(TraceError::Write)
    }

    fn has_reached_count(&self) -> bool {
        self.count
            .is_some_and(|count| self.reporter.reported.shown >= count)
    }
}

/// Ends a trace without a failure if the reader of stdout has gone.
fn unless_closed<T: Default>(ended: Result<T, TraceError>) -> Result<T, TraceError> {
    match ended {
        Err(TraceError::Write(error)) if is_closed(&error) => Ok(T::default()),
        ended => ended,
    }
}

/// Resolves when the reader of stdout closes its end, or never if stdout is a file.
async fn closed_stdout() {
    let stdout = rustix::io::dup(rustix::stdio::stdout())
        .map_err(io::Error::from)
        .and_then(|fd| register(fd, Interest::ERROR));
    if let Ok(stdout) = stdout
        && let Ok(_closed) = stdout.ready(Interest::ERROR).await
    {
        return;
    }
    pending::<()>().await;
}
