//! Signals that end a verb, such as SIGINT and SIGTERM: as a future, and as a flag for code
//! that cannot await it.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, atomic::AtomicBool},
    task::Poll,
};

use probe_user::unstable::proc::{directory::ProcessDirectory, status::Status};
use tokio::signal::unix::{SignalKind, signal};

use crate::output::StopFlag;

/// Listens to SIGINT and SIGTERM from now on. The future resolves to the number of the signal.
pub(super) fn requested() -> io::Result<(impl Future<Output = i32>, StopFlag)> {
    listen(&[SignalKind::interrupt(), SignalKind::terminate()])
}

/// Listens to SIGHUP and SIGQUIT too, for verbs that must clean up when the terminal is
/// closed. A signal that was ignored at the start (nohup) stays ignored.
pub(super) fn requested_by_any() -> io::Result<(impl Future<Output = i32>, StopFlag)> {
    let status = ProcessDirectory::own().and_then(|own| own.content("status"));
    let ignored = status
        .ok()
        .and_then(|it| Status::new(&it).ignored_signals());
    let ignored = ignored.unwrap_or(0);
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    for kind in [SignalKind::hangup(), SignalKind::quit()] {
        if ignored & (1 << (kind.as_raw_value() - 1)) == 0 {
            kinds.push(kind);
        }
    }
    listen(&kinds)
}

fn listen(kinds: &[SignalKind]) -> io::Result<(impl Future<Output = i32> + use<>, StopFlag)> {
    let flag = Arc::new(AtomicBool::new(false));
    let mut signals = Vec::new();
    for &kind in kinds {
        signal_hook::flag::register(kind.as_raw_value(), Arc::clone(&flag))?;
        signals.push((kind.as_raw_value(), signal(kind)?));
    }
    let requested = poll_fn(move |context| {
        let has_arrived =
            |(_, it): &mut (_, tokio::signal::unix::Signal)| it.poll_recv(context).is_ready();
        match signals.iter_mut().position(has_arrived) {
            Some(first) => Poll::Ready(signals[first].0),
            None => Poll::Pending,
        }
    });
    Ok((requested, flag))
}
