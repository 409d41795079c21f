//! `probe trace` with a daemon: prints its records, filtered by the conditions that the daemon
//! does not support.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
};

use probe_daemon::{
    api::json,
    client::{ClientError, Records},
};
use probe_user::{model::Record, unstable::clock::WallClock};
use tokio::time::Instant;

use super::{Settings, TraceError, closed_stdout};
use crate::{
    deadline::until,
    output::{Out, Stdout, is_closed, reporter::Reported},
};

/// Runs until `stop` resolves, the count is reached, stdout is closed, or the stream of the
/// daemon ends. In the last case the result contains the reason.
pub(crate) async fn run(
    settings: &Settings,
    mut records: Records,
    out: &mut Out<Stdout>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<(Reported, Option<ClientError>), TraceError> {
    let mut reader_gone = pin!(closed_stdout());
    let mut printer = Printer {
        settings,
        out,
        clock: WallClock::now(),
        reported: Reported::default(),
        flush_at: None,
    };
    let ended = loop {
        let done = tokio::select! {
            biased;
            () = &mut stop => break Ok(None),
            () = &mut reader_gone => break Ok(None),
            next = records.next() => match next {
                Ok(Some(record)) => printer.print(&record),
                Ok(None) => break Ok(Some(ClientError::Gone)),
                Err(error) => break Ok(Some(error)),
            },
            () = until(printer.flush_at) => printer.flush(),
        };
        match done {
            Err(error) => break Err(error),
            Ok(()) if printer.has_reached_count() => break Ok(None),
            Ok(()) => {}
        }
    };
    let flushed = printer.flush();
    match ended.and_then(|broken| flushed.map(|()| broken)) {
        Err(error) if is_closed(&error) => Ok((printer.reported, None)),
        Err(error) => Err(TraceError::Write(error)),
        Ok(broken) => Ok((printer.reported, broken)),
    }
}

/// Prints the records that pass the filter.
struct Printer<'a> {
    settings: &'a Settings,
    out: &'a mut Out<Stdout>,
    clock: WallClock,
    reported: Reported,
    flush_at: Option<Instant>,
}

impl Printer<'_> {
    fn print(&mut self, record: &Record) -> io::Result<()> {
        let is_wanted = self.settings.wanted.admits_from_daemon(record);
        if let Record::Lost { count, .. } = record {
            self.reported.lost += count;
        } else {
            self.reported.seen += 1;
            self.reported.shown += u64::from(is_wanted);
        }
        if !is_wanted {
            return Ok(());
        }
        if self.flush_at.is_none() {
            self.clock.sync();
            self.flush_at = Some(Instant::now() + self.settings.drain_every);
        }
        let Self { out, clock, .. } = self;
        match &self.settings.columns {
            Some(columns) => out.line(|line| columns.write_record(line, record, clock)),
            None => out.line(|line| json::write_record(line, record, clock)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_at = None;
        self.out.flush()
    }

    fn has_reached_count(&self) -> bool {
        let count = self.settings.count;
        count.is_some_and(|count| self.reported.shown >= count)
    }
}
