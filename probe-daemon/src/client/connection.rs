//! A connection to the daemon. A task of its own drives it, and dropping the connection
//! aborts that task.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustix::net::{Shutdown, shutdown};
use tokio::{net::UnixStream, task::JoinHandle};

use super::{ClientError, Trust};

#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    socket: OwnedFd,
}

impl Connection {
    pub(super) async fn open(socket: &Path, trust: &Trust) -> Result<Self, ClientError> {
        let failed = |source| cannot_connect(socket, source);
        let stream = UnixStream::connect(socket).await.map_err(failed)?;
        let peer = stream.peer_cred().map_err(failed)?;
        trust.check(socket, peer.uid())?;
        let socket = stream.as_fd().try_clone_to_owned().map_err(failed)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the daemon failed");
            }
        });
        Ok(Self {
            sender,
            driver,
            socket,
        })
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Asks the daemon for the rest of the stream that it sends.
    pub(super) fn ask_for_rest(&self) {
        // This fails only if the daemon has closed the connection, and then the stream ends.
        let _closed = shutdown(&self.socket, Shutdown::Write);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn cannot_connect(socket: &Path, source: io::Error) -> ClientError {
    let socket = socket.to_owned();
    match source.kind() {
        // A socket file without a listener refuses connections.
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ConnectionRefused => ClientError::Absent { socket, source },
        io::ErrorKind::PermissionDenied => ClientError::Forbidden { socket, source },
        _ => ClientError::Connect { socket, source },
    }
}
