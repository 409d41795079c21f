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
    model::{LossReason, Record, Timed},
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
        ignore_closed, is_closed, is_unread,
        reporter::{ReportOptions, Reported, Reporter},
    },
    teardown::{Teardown, Teardowns},
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

/// How long a daemon may take to send the records until the end of a trace: those that it
/// keeps for a reader, at most 16,384, and those on the way.
const REST_LIMIT: Duration = Duration::from_secs(5);

/// How the stream of a daemon ended.
pub(crate) enum DaemonStream {
    /// As requested: every record until then is printed, or counted as lost.
    Ended,
    /// As requested, but records are missing, and their number is unknown.
    Cut(ClientError),
    /// Before the end of the trace. Records are missing, and their number is unknown.
    Broken(ClientError),
}

/// A trace, whichever stream it reads.
pub(crate) struct Trace {
    reporter: Reporter,
    /// The trace ends after this many records.
    count: Option<u64>,
    /// Time between two writes while records arrive.
    drain_every: Duration,
    /// Exits until this time, in nanoseconds of `CLOCK_BOOTTIME`, are left out of a daemon's
    /// stream.
    after_ns: Option<u64>,
    /// Whether the stream of a daemon also has records of other targets.
    tests_targets: bool,
}

impl Trace {
    pub(crate) fn new(options: ReportOptions, count: Option<u64>, drain_every: Duration) -> Self {
        Self {
            reporter: Reporter::new(options),
            count,
            drain_every,
            after_ns: None,
            tests_targets: false,
        }
    }

    /// Reports also exits that take at least this time.
    pub(crate) fn follow_slow(&mut self, slow: Option<Duration>) {
        self.reporter.teardowns = slow.map(Teardowns::new);
    }

    /// Leaves out exits until this time, which are printed already.
    pub(crate) const fn after(mut self, boottime_ns: u64) -> Self {
        self.after_ns = Some(boottime_ns);
        self
    }

    /// Tests the targets too: the stream of a daemon is that of the whole machine.
    pub(crate) const fn test_targets(&mut self) {
        self.tests_targets = true;
    }

    /// Prints a record of the past.
    pub(crate) fn print_past(&mut self, record: &Record) -> Result<(), TraceError> {
        ignore_closed(self.reporter.count(record, true)).map_err(TraceError::Write)
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
    /// closed. At `stop` the daemon is asked for the rest, and has [`REST_LIMIT`] to send it.
    pub(crate) async fn follow_daemon(
        &mut self,
        records: Records,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<DaemonStream, TraceError> {
        let ended = self.print_all(records, stop).await;
        self.unless_closed(ended, DaemonStream::Ended)
    }

    async fn print_all(
        &mut self,
        mut records: Records,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<DaemonStream, TraceError> {
        let mut reader_gone = pin!(closed_stdout());
        let mut flush_at = None;
        let mut rest_by = None;
        let error = loop {
            if self.has_reached_count() {
                self.flush()?;
                return Ok(DaemonStream::Ended);
            }
            tokio::select! {
                biased;
                () = &mut stop, if rest_by.is_none() => {
                    records.ask_for_rest();
                    rest_by = Some(Instant::now() + REST_LIMIT);
                }
                () = &mut reader_gone => {
                    self.flush()?;
                    return Ok(DaemonStream::Ended);
                }
                teardown = slow(&mut self.reporter.teardowns) => self.print_teardown(&teardown)?,
                () = until(rest_by) => break ClientError::Late { after: REST_LIMIT },
                next = records.next() => match next {
                    Ok(Some(record)) => self.print_from_daemon(&record, &mut flush_at)?,
                    Ok(None) => {
                        self.flush()?;
                        return Ok(DaemonStream::Ended);
                    }
                    Err(error) => break error,
                },
                () = until(flush_at) => {
                    flush_at = None;
                    self.flush()?;
                }
            }
        };
        let lost = self.reporter.lose(LossReason::DaemonGone);
        lost.map_err(TraceError::Write)?;
        self.flush()?;
        Ok(match rest_by {
            Some(_) => DaemonStream::Cut(error),
            None => DaemonStream::Broken(error),
        })
    }

    fn print_from_daemon(
        &mut self,
        record: &Record,
        flush_at: &mut Option<Instant>,
    ) -> Result<(), TraceError> {
        let is_late = match (record, self.after_ns) {
            (Record::Exit(exit), Some(after)) => exit.boottime_ns <= after,
            _ => false,
        };
        let is_wanted = !is_late
            && if self.tests_targets {
                self.reporter.wanted.admits_everywhere(record)
            } else {
                self.reporter.wanted.admits_from_daemon(record)
            };
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
        let ended = self.drain_all(&mut reader, stop).await;
        self.unless_closed(ended, ())
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
                teardown = slow(&mut self.reporter.teardowns) => {
                    self.print_teardown(&teardown)?;
                    continue;
                }
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

    /// Ends a trace without a failure if the reader of stdout has gone. If the reader is there
    /// but does not read, it misses records.
    fn unless_closed<T>(
        &mut self,
        ended: Result<T, TraceError>,
        closed: T,
    ) -> Result<T, TraceError> {
        match ended {
            Err(TraceError::Write(error)) if is_closed(&error) => {
                if is_unread(&error) {
                    self.reporter.reported.lost.add(None);
                }
                Ok(closed)
            }
            ended => ended,
        }
    }

    fn print(&mut self, timed: Timed) -> Result<(), TraceError> {
        if self.has_reached_count() {
            return Ok(());
        }
        self.reporter.report(timed).map_err(TraceError::Write)
    }

    fn print_teardown(&mut self, teardown: &Teardown) -> Result<(), TraceError> {
        let printed = self.reporter.printer.print_teardown(teardown);
        printed.map_err(TraceError::Write)?;
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> Result<(), TraceError> {
        let flushed = self.reporter.printer.out.flush();
        flushed.map_err(TraceError::Write)
    }

    fn has_reached_count(&self) -> bool {
        self.count
            .is_some_and(|count| self.reporter.reported.shown >= count)
    }
}

/// The next exit that takes long, if such exits are followed.
async fn slow(teardowns: &mut Option<Teardowns>) -> Teardown {
    match teardowns {
        Some(teardowns) => teardowns.next().await,
        None => pending().await,
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
