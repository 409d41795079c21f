//! SIGINT and SIGTERM: as a future, and as a flag for who cannot await one.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::output::StopFlag;

/// Listens from now on; the future resolves to the signal's number.
pub(super) fn requested() -> io::Result<(impl Future<Output = i32>, StopFlag)> {
    let flag = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        signal_hook::flag::register(kind.as_raw_value(), Arc::clone(&flag))?;
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let requested = async move {
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    };
    Ok((requested, flag))
}
