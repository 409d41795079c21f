//! The lines of a streamed answer.

use std::{io, sync::Arc};

use axum::body::Bytes;
use probe_user::{
    model::{LossReason, Record},
    unstable::clock::WallClock,
};

use crate::{
    api::{
        json::{self, write_record},
        wait::Line,
    },
    http::body::Lines,
    http::selection::Selection,
    state::{
        metrics::Metrics,
        topics::{Delivery, Mailbox},
    },
};

/// Approximate size of a chunk of lines.
const CHUNK_BYTES: usize = 16 * 1024;

/// A buffer for lines that are sent together.
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    clock: WallClock,
}

/// Counts of the records in an answer so far.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) exits: u64,
    pub(super) lost: u64,
    metrics: Arc<Metrics>,
}

impl Reported {
    pub(super) const fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            exits: 0,
            lost: 0,
            metrics,
        }
    }

    /// Counts a loss and returns its record. No reason means that the reader was too slow.
    fn lost(&mut self, count: u64, reason: Option<LossReason>) -> Record {
        self.lost += count;
        if reason.is_none() {
            self.metrics.reader_lost(count);
        }
        let reason = reason.unwrap_or(LossReason::SlowReader);
        Record::Lost { count, reason }
    }
}

/// The client closed the connection, so nothing more can be sent.
#[derive(Debug)]
pub(super) struct Gone;

impl LineBuffer {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            clock: WallClock::now(),
        }
    }

    pub(super) fn record(&mut self, record: &Record) {
        let written = write_record(&mut self.bytes, record, &self.clock);
        self.end_line(written);
    }

    fn end_line(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => self.bytes.push(b'\n'),
            Err(error) => tracing::warn!(%error, "cannot write a line as JSON"),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES
    }

    /// Sends the collected lines; waits while the client does not read.
    pub(super) async fn send(&mut self, lines: &Lines) -> Result<(), Gone> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        lines.send(bytes).await.map_err(|_closed| Gone)
    }
}

/// Sends a single line.
pub(super) async fn send_line(lines: &Lines, line: &Line) -> Result<(), Gone> {
    let mut buffer = LineBuffer::new();
    let written = json::write(&mut buffer.bytes, line);
    buffer.end_line(written);
    buffer.send(lines).await
}

/// Sends the selected records of a mailbox and counts them.
pub(super) async fn forward(
    mailbox: &Mailbox,
    selection: &Selection,
    lines: &Lines,
    reported: &mut Reported,
) -> Result<(), Gone> {
    let mut buffer = LineBuffer::new();
    while let Some(delivery) = mailbox.next() {
        match delivery {
            Delivery::Exit(exit) if selection.admits(&exit) => {
                reported.exits += 1;
                buffer.record(&Record::Exit(exit));
            }
            Delivery::Exit(_) => {}
            Delivery::Lost(count, reason) => buffer.record(&reported.lost(count, reason)),
        }
        if buffer.is_full() {
            buffer.send(lines).await?;
        }
    }
    buffer.send(lines).await
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::state::metrics::{Format, Scope};

    #[test]
    fn records_that_a_slow_reader_lost_are_counted() {
        let metrics = Arc::new(Metrics::new(SystemTime::UNIX_EPOCH));
        let mut reported = Reported::new(Arc::clone(&metrics));
        reported.lost(7, None);
        reported.lost(5, Some(LossReason::RingFull));
        assert_eq!(reported.lost, 12);
        let text = metrics.render(Format::Prometheus, Scope::Totals);
        let counted = "probe_reader_records_lost_total 7";
        assert!(text.lines().any(|line| line == counted), "{text}");
    }
}
