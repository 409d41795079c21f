//! Sends a wait to a daemon, and forwards its messages to the session.

use probe_daemon::{
    api::wait as api,
    client::{Client, ClientError, Message},
};
use tokio::sync::{Notify, mpsc};

/// A message, or the reason for the end of the stream.
pub(super) type Received = Result<Message, ClientError>;

/// Sends the request, and forwards messages until the last one. Asks for the rest of them once
/// `wants_rest` is notified.
pub(super) async fn read(
    connected: Result<Client, ClientError>,
    wait: &api::Request,
    sender: &mpsc::Sender<Received>,
    wants_rest: &Notify,
) -> Result<(), ClientError> {
    let mut messages = connected?.wait(wait).await?;
    loop {
        let next = tokio::select! {
            next = messages.next() => next?,
            () = wants_rest.notified() => {
                messages.ask_for_rest();
                continue;
            }
        };
        let Some(message) = next else {
            return Ok(());
        };
        if sender.send(Ok(message)).await.is_err() {
            return Ok(());
        }
    }
}
