//! What hyper answers by itself, to a head that it cannot read, has no body: the
//! connection adds the problem that every other refusal has.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};

use super::refusal::Refusal;
use crate::api::problem::MEDIA_TYPE;

/// A connection to a client.
#[derive(Debug)]
pub(super) struct Explained {
    stream: UnixStream,
    /// What is said instead of what hyper wrote, as far as it is not yet out.
    instead: Vec<u8>,
}

impl Explained {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            instead: Vec::new(),
        }
    }
}

impl AsyncRead for Explained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Explained {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_empty() {
            let Some(instead) = explained(bytes) else {
                return Pin::new(&mut self.stream).poll_write(context, bytes);
            };
            self.instead = instead;
        }
        // Whoever writes repeats itself until all is taken.
        let Self { stream, instead } = &mut *self;
        while !instead.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            instead.drain(..written);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            [piece] => self.poll_write(context, piece),
            pieces => Pin::new(&mut self.stream).poll_write_vectored(context, pieces),
        }
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

/// The whole answer, if these bytes are a refusal that says nothing: all of our
/// own say something.
fn explained(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    if !status.starts_with(b"4") {
        return None;
    }
    let head = str::from_utf8(bytes).ok()?;
    let is_silent = head.ends_with("\r\n\r\n") && head.contains("\r\ncontent-length: 0\r\n");
    if !is_silent {
        return None;
    }
    let status = StatusCode::from_bytes(status).ok()?;
    let body = refusal(status).to_json();
    let length = format!(
        "\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\n",
        body.len()
    );
    let head = head.replacen("\r\ncontent-length: 0\r\n", &length, 1);
    Some([head.into_bytes(), body].concat())
}

fn refusal(status: StatusCode) -> Refusal {
    let detail = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the head of the request is larger than 8 KiB or has more than 100 fields"
        }
        StatusCode::URI_TOO_LONG => "the path is too long",
        _ => "the head of the request is no HTTP",
    };
    Refusal::new(status, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_word_gets_its_problem_and_keeps_its_head() {
        let bare = b"HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
            date: today\r\n\r\n";
        let said = String::from_utf8(explained(bare).expect("silent")).expect("text");
        let (head, body) = said.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 431 Too Large\r\nconnection: close\r\n"));
        assert!(head.ends_with("date: today"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(body.contains("\"status\":431"), "{body}");
    }

    #[test]
    fn what_says_something_is_left_alone() {
        for said in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nmore",
            "HTTP/1.1 4",
            "{\"type\":\"HTTP/1.1 400\"}",
        ] {
            assert_eq!(explained(said.as_bytes()), None, "{said}");
        }
    }
}
