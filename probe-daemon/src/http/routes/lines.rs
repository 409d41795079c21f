//! Records become the lines of an answer.

use std::io;

use axum::body::Bytes;
use probe_user::{
    model::{LossReason, Record},
    unstable::clock::WallClock,
};

use crate::{
    api::json::{self, write_record},
    http::body::Lines,
    http::selection::Selection,
    state::topics::{Mailbox, News},
};

/// Lines are gathered into pieces of about this size.
const PIECE_BYTES: usize = 16 * 1024;

/// Gathers lines.
pub(super) struct Piece {
    bytes: Vec<u8>,
    clock: WallClock,
}

/// How much was told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) exits: u64,
    pub(super) lost: u64,
}

/// The client has gone: nothing more need be said.
#[derive(Debug)]
pub(super) struct Gone;

impl Piece {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            clock: WallClock::now(),
        }
    }

    pub(super) fn record(&mut self, record: &Record) -> io::Result<()> {
        write_record(&mut self.bytes, record, &self.clock)?;
        self.bytes.push(b'\n');
        Ok(())
    }

    pub(super) fn line(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        json::write(&mut self.bytes, line)?;
        self.bytes.push(b'\n');
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES
    }

    /// Sends what was gathered; waits while the client does not read.
    pub(super) async fn send(&mut self, lines: &Lines) -> Result<(), Gone> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        lines.send(bytes).await.map_err(|_closed| Gone)
    }
}

/// Passes on what has come into a mailbox.
pub(super) async fn forward(
    mailbox: &Mailbox,
    selection: &Selection,
    lines: &Lines,
    told: &mut Told,
) -> Result<(), Gone> {
    let mut piece = Piece::new();
    while let Some(news) = mailbox.next() {
        let written = match news {
            News::Exit(exit) if selection.admits(&exit) => {
                told.exits += 1;
                piece.record(&Record::Exit(exit))
            }
            News::Exit(_) => Ok(()),
            News::Lost(count, reason) => {
                told.lost += count;
                let reason = reason.unwrap_or(LossReason::SlowReader);
                piece.record(&Record::Lost { count, reason })
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "a record does not become JSON");
        }
        if piece.is_full() {
            piece.send(lines).await?;
        }
    }
    piece.send(lines).await
}
