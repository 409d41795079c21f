//! Scans of `/proc` in pieces, because a hundred thousand processes in one list would
//! take more memory than the process table.

use std::io;

use probe_user::unstable::proc::scan::{self, Found};
use tokio::sync::mpsc;

/// Processes of a piece.
const PIECE: usize = 256;
/// Pieces that the channel holds.
const PIECES: usize = 2;

/// A part of the result of a scan.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Some processes.
    Found(Vec<Found>),
    /// The scan is complete. A scan that ends without it is discarded, because
    /// processes that it left out would count as gone.
    Whole,
}

/// A scan that is under way.
pub(crate) type Scan = mpsc::Receiver<Piece>;

/// Scans on a new thread, until the scan is complete or the receiver is dropped.
pub(crate) fn begin() -> Scan {
    let (sender, receiver) = mpsc::channel(PIECES);
    let scan = move || {
        let all = scan(false, |found| {
            sender.blocking_send(Piece::Found(found)).is_ok()
        });
        if all.is_some() {
            // An error means that the receiver was dropped.
            let _gone = sender.blocking_send(Piece::Whole);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("scan".into()).spawn(scan) {
        tracing::warn!(%error, "no thread to scan /proc on");
    }
    receiver
}

/// Scans on the calling thread; `None` if the scan is incomplete. `asks_owners` needs
/// privileges that the daemon has at its start only. `take` returns whether to go on.
pub(crate) fn scan(asks_owners: bool, take: impl FnMut(Vec<Found>) -> bool) -> Option<()> {
    scan_all(asks_owners, take)
        .inspect_err(|error| tracing::warn!(%error, "/proc cannot be scanned"))
        .ok()
}

fn scan_all(asks_owners: bool, mut take: impl FnMut(Vec<Found>) -> bool) -> io::Result<()> {
    let mut processes = scan::scan(asks_owners)?;
    loop {
        let found: Vec<_> = processes.by_ref().take(PIECE).collect();
        let is_last = found.len() < PIECE;
        if !take(found) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if is_last {
            return processes.failure().map_or(Ok(()), Err);
        }
    }
}
