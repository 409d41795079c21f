//! Clients that shut down the sending direction of their connection (`SHUT_WR`), and read on.
//!
//! A client of a stream asks in this way for the rest of the stream: everything until now, and
//! the line that says that nothing is missing before it. hyper takes the end of what a client
//! sends for the end of its connection, so this reader hides that end from hyper unless the
//! client has closed the connection as well.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

/// Cancelled when the client of a connection wants the rest of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct WantsRest(pub(super) CancellationToken);

impl WantsRest {
    /// Resolves when the client wants the rest.
    pub(crate) async fn asked(&self) {
        self.0.cancelled().await;
    }
}

/// A connection that reports a client that wants the rest.
pub(super) struct Connection {
    stream: UnixStream,
    wants_rest: WantsRest,
}

impl Connection {
    pub(super) const fn new(stream: UnixStream, wants_rest: WantsRest) -> Self {
        Self { stream, wants_rest }
    }

    /// Whether the client has closed the connection. The kernel reports `POLLHUP` only if
    /// both directions are shut down.
    fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::empty())];
        let no_wait = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let polled = poll(&mut fds, Some(&no_wait));
        polled.is_err() || fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before || self.is_closed() {
            return Poll::Ready(Ok(()));
        }
        // The server closes the connection after the answer, so nothing has to wake this read.
        self.wants_rest.0.cancel();
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
