//! `/proc` piece by piece: a hundred thousand processes in one list would take
//! more memory than all that is kept of them.

use std::io;

use probe_user::unstable::proc::scan::{self, Found};
use tokio::sync::mpsc;

/// Processes of a piece.
const PIECE: usize = 256;
/// Pieces that may be on their way.
const PIECES: usize = 2;

/// What a scan finds.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Some more.
    Found(Vec<Found>),
    /// That was everybody. A scan that ends without it is worth nothing: who was
    /// left out would be taken for dead.
    Whole,
}

/// A scan that is under way.
pub(crate) type Scan = mpsc::Receiver<Piece>;

/// Scans on a thread of its own, as long as there is somebody to tell.
pub(crate) fn begin() -> Scan {
    let (tell, told) = mpsc::channel(PIECES);
    let scan = move || {
        let all = scan(false, |found| {
            tell.blocking_send(Piece::Found(found)).is_ok()
        });
        if all.is_some() {
            // The daemon may be gone: then nobody needs it.
            let _gone = tell.blocking_send(Piece::Whole);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("scan".into()).spawn(scan) {
        tracing::warn!(%error, "no thread to scan /proc on");
    }
    told
}

/// Scans at once; `None` if that was not everybody. `asks_owners`: while the
/// privileges for that are there. `take` tells whether to go on.
pub(crate) fn scan(asks_owners: bool, take: impl FnMut(Vec<Found>) -> bool) -> Option<()> {
    everybody(asks_owners, take)
        .inspect_err(|error| tracing::warn!(%error, "/proc cannot be scanned"))
        .ok()
}

fn everybody(asks_owners: bool, mut take: impl FnMut(Vec<Found>) -> bool) -> io::Result<()> {
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
