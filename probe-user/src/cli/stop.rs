//! SIGINT, SIGTERM and the like: as a future, and as a flag for who cannot await
//! one.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    task::Poll,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::output::StopFlag;

/// Listens from now on; the future resolves to the signal's number.
pub(super) fn requested() -> io::Result<(impl Future<Output = i32>, StopFlag)> {
    by(&[SignalKind::interrupt(), SignalKind::terminate()])
}

/// The same for whoever would leave a terminal in disorder.
pub(super) fn requested_at_terminal() -> io::Result<(impl Future<Output = i32>, StopFlag)> {
    by(&[
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ])
}

fn by(kinds: &[SignalKind]) -> io::Result<(impl Future<Output = i32> + use<>, StopFlag)> {
    let flag = Arc::new(AtomicBool::new(false));
    let mut signals = Vec::new();
    for &kind in kinds {
        signal_hook::flag::register(kind.as_raw_value(), Arc::clone(&flag))?;
        signals.push((kind.as_raw_value(), signal(kind)?));
    }
    let requested = std::future::poll_fn(move |context| {
        for (number, signal) in &mut signals {
            if signal.poll_recv(context).is_ready() {
                return Poll::Ready(*number);
            }
        }
        Poll::Pending
    });
    Ok((requested, flag))
}
