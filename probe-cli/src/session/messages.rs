//! Sends a wait to a daemon, and forwards its messages to the session.

use probe_daemon::{
    api::wait as api,
    client::{Client, ClientError, Message},
};
use tokio::sync::mpsc;

/// A message, or the reason for the end of the stream.
pub(super) type Received = Result<Message, ClientError>;

/// Sends the request, and forwards messages until the last one.
pub(super) async fn read(
    connected: Result<Client, ClientError>,
    wait: &api::Request,
    sender: &mpsc::Sender<Received>,
) -> Result<(), ClientError> {
    let mut messages = connected?.wait(wait).await?;
    while let Some(message) = messages.next().await? {
        if sender.send(Ok(message)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
