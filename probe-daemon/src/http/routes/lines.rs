//! The lines of a streamed answer.

use std::io;

use axum::body::Bytes;
use probe_user::{model::Record, unstable::clock::WallClock};

use crate::{
    api::{
        json::{self, write_record},
        wait::Line,
    },
    http::body::Lines,
    state::mailbox::{CAPACITY, Delivery, Mailbox},
};

/// Approximate size of a chunk of lines.
const CHUNK_BYTES: usize = 16 * 1024;

/// A buffer for lines that are sent together.
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    clock: WallClock,
}

/// Counts of the records in an answer so far.
#[derive(Debug, Default)]
pub(super) struct Reported {
    pub(super) exits: u64,
    pub(super) lost: u64,
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

/// Sends the records of a mailbox and counts them. Returns after as many as a mailbox holds,
/// so that the answer to a client in a storm can end.
pub(super) async fn forward(
    mailbox: &Mailbox,
    lines: &Lines,
    reported: &mut Reported,
) -> Result<(), Gone> {
    if send_some(mailbox, lines, reported).await? {
        mailbox.leave_rest();
    }
    Ok(())
}

/// Sends all records of a closed mailbox and counts them.
pub(super) async fn forward_rest(
    mailbox: &Mailbox,
    lines: &Lines,
    reported: &mut Reported,
) -> Result<(), Gone> {
    while send_some(mailbox, lines, reported).await? {}
    Ok(())
}

/// Sends records; returns whether there may be more.
async fn send_some(
    mailbox: &Mailbox,
    lines: &Lines,
    reported: &mut Reported,
) -> Result<bool, Gone> {
    let mut buffer = LineBuffer::new();
    let mut left = CAPACITY;
    while left > 0
        && let Some(delivery) = mailbox.next()
    {
        left -= 1;
        match delivery {
            Delivery::Exit(exit) => {
                reported.exits += 1;
                buffer.record(&Record::Exit(exit));
            }
            Delivery::Lost(count, reason) => {
                reported.lost += count;
                let count = Some(count);
                buffer.record(&Record::Lost { count, reason });
            }
        }
        if buffer.is_full() {
            buffer.send(lines).await?;
        }
    }
    buffer.send(lines).await?;
    Ok(left == 0)
}
