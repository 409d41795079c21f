//! SIGINT and SIGTERM as a future.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Listens from now on; the future resolves to the signal's number.
pub(super) fn requested() -> io::Result<impl Future<Output = i32>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    })
}
