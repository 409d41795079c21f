//! Scans of `/proc` in pieces, because a list of a hundred thousand processes would take
//! more memory than the process table.

use std::io;

use probe_user::unstable::proc::scan::{self, Found};
use tokio::sync::mpsc;

/// Maximum number of processes in a piece.
const PIECE: usize = 256;
/// Capacity of the channel, in pieces.
const PIECES: usize = 2;

/// A part of the result of a scan.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Some of the processes.
    Found(Vec<Found>),
    /// The scan is complete, and the argument says whether `/proc` showed every process. A
    /// scan that ends without this piece is discarded, because the processes that it did not
    /// find would count as gone.
    Complete(bool),
}

/// The receiver of a scan's pieces.
pub(crate) type Scan = mpsc::Receiver<Piece>;

/// Scans on a new thread until the scan is complete or the receiver is dropped.
pub(crate) fn begin() -> Scan {
    let (sender, receiver) = mpsc::channel(PIECES);
    let scan = move || {
        let complete = scan(false, |found| {
            sender.blocking_send(Piece::Found(found)).is_ok()
        });
        if let Some(sees_all) = complete {
            // An error means that the receiver was dropped.
            let _gone = sender.blocking_send(Piece::Complete(sees_all));
        }
    };
    if let Err(error) = std::thread::Builder::new().name("scan".into()).spawn(scan) {
        tracing::warn!(%error, "cannot start a thread for the scan of /proc");
    }
    receiver
}

/// Scans on the calling thread; returns whether `/proc` showed every process, or `None` if the
/// scan was not finished. `with_owners` also reads
/// the owners of user namespaces, which needs privileges that the daemon has only at its
/// start. `take` returns whether to continue.
pub(crate) fn scan(with_owners: bool, take: impl FnMut(Vec<Found>) -> bool) -> Option<bool> {
    scan_all(with_owners, take)
        .inspect_err(|error| tracing::warn!(%error, "cannot scan /proc"))
        .ok()
}

fn scan_all(with_owners: bool, mut take: impl FnMut(Vec<Found>) -> bool) -> io::Result<bool> {
    let mut processes = scan::scan(with_owners)?;
    loop {
        let found: Vec<_> = processes.by_ref().take(PIECE).collect::<io::Result<_>>()?;
        let is_last = found.len() < PIECE;
        if !take(found) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if is_last {
            return Ok(processes.is_complete());
        }
    }
}
