//! The end of the daemon, as everybody who waits hears of it.

use tokio::sync::watch;

/// Says when.
pub(crate) struct Stop(watch::Sender<bool>);

/// Hears of it.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn new() -> (Self, Stopping) {
        let (stop, stopping) = watch::channel(false);
        (Self(stop), Stopping(stopping))
    }

    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Resolves when the daemon ends.
    pub(crate) async fn begun(&mut self) {
        // A daemon that is gone has ended as well.
        let _is_over = self.0.wait_for(|&it| it).await.is_ok();
    }
}
