//! `probe trace`: filters the records of the stream and prints them.
//!
//! The library reads the stream, and decides when to read it ([`StreamReader`]).

pub(crate) mod daemon;

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    time::Duration,
};

use probe_user::{
    model::{Filter, Timed},
    unstable::{
        bpf::load::{Attached, Rings},
        cgroup::mounts::Mounts,
        container::Resolver,
        readiness::register,
        trace::{StreamError, lookup::CgroupLookup, reader::StreamReader},
    },
};
use tokio::io::Interest;

use crate::output::{
    Out, Stdout,
    human::Columns,
    is_closed,
    reporter::{Reported, Reporter},
};

/// The options of a trace.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The records to print.
    pub(crate) wanted: Filter,
    /// Columns for people, or `None` for JSON.
    pub(crate) columns: Option<Columns>,
    /// The trace ends after this many records.
    pub(crate) count: Option<u64>,
    /// Time between two drains of the ring while records arrive.
    pub(crate) drain_every: Duration,
}

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

/// Runs until `stop` resolves, the count is reached, or stdout is closed.
pub(crate) async fn run(
    settings: Settings,
    loaded: (Attached, Rings),
    mounts: Mounts,
    resolver: Resolver,
    out: Out<Stdout>,
    stop: impl Future<Output = ()>,
) -> Result<Reported, TraceError> {
    let lookup = CgroupLookup::new(mounts, resolver);
    let mut reader = StreamReader::new(loaded, settings.drain_every)?;
    let mut trace = Trace {
        reporter: Reporter::new(settings.wanted, settings.columns, lookup, out),
        count: settings.count,
    };
    let Reporter {
        lookup, tracker, ..
    } = &mut trace.reporter;
    lookup.add_all_cgroups(tracker);
    let ended = trace.follow(&mut reader, pin!(stop)).await;
    match ended.and_then(|()| trace.finish(&mut reader)) {
        Err(TraceError::Write(error)) if is_closed(&error) => Ok(trace.reporter.reported),
        Err(error) => Err(error),
        Ok(()) => Ok(trace.reporter.reported),
    }
}

/// Writes the names of the columns, if there are columns.
pub(crate) fn write_header(
    columns: Option<&Columns>,
    out: &mut Out<Stdout>,
) -> Result<(), TraceError> {
    let Some(columns) = columns else {
        return Ok(());
    };
    let written = out.line(|line| columns.write_header(line));
    match written.and_then(|()| out.flush()) {
        // If the reader has gone, the next write fails too.
        Err(error) if !is_closed(&error) => Err(TraceError::Write(error)),
        _ => Ok(()),
    }
}

/// The state of a trace, except the reader of the stream.
struct Trace {
    reporter: Reporter,
    count: Option<u64>,
}

impl Trace {
    async fn follow(
        &mut self,
        reader: &mut StreamReader,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), TraceError> {
        let mut reader_gone = pin!(closed_stdout());
        while !self.has_reached_count() {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = &mut reader_gone => return Ok(()),
                due = reader.due() => due?,
            }
            self.reporter.clock.sync();
            reader.drain(|timed| self.print(timed))?;
            self.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self, reader: &mut StreamReader) -> Result<(), TraceError> {
        if !self.has_reached_count() {
            self.reporter.clock.sync();
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
        self.reporter.out.flush().map_err(TraceError::Write)
    }

    fn has_reached_count(&self) -> bool {
        self.count
            .is_some_and(|count| self.reporter.reported.shown >= count)
    }
}

/// Resolves when the reader of stdout closes its end, or never if stdout is a file.
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
