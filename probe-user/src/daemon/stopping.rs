//! The end of the daemon, as everybody who waits hears of it.

use tokio::sync::watch;

/// Says when.
pub(super) struct Stop(watch::Sender<bool>);

/// Hears of it.
#[derive(Clone)]
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stop {
    pub(super) fn new() -> (Self, Stopping) {
        let (stop, stopping) = watch::channel(false);
        (Self(stop), Stopping(stopping))
    }

    pub(super) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Resolves when the daemon ends.
    pub(super) async fn begun(&mut self) {
        // A daemon that is gone has ended as well.
        let _is_over = self.0.wait_for(|&it| it).await.is_ok();
    }
}
