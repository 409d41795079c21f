//! A small HTTP/1.1 client over a Unix socket. It shares no code with the client of `probe`, so
//! that a bug in that one cannot hide.

use std::{
    fmt,
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

use crate::{Deadline, lines::Lines};

/// A response to one request. Dropping it closes the connection.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, in order.
    pub headers: Vec<(String, String)>,
    body: Box<dyn Read + Send>,
    connection: UnixStream,
}

/// JSON lines of a response that may never end. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    lines: Lines,
    connection: UnixStream,
}

/// Sends one request; `body` is JSON. Panics without a response.
#[must_use]
pub fn send(socket: &Path, method: &str, target: &str, body: Option<&Value>) -> Answer {
    let response = try_send(socket, method, target, body);
    response.unwrap_or_else(|| panic!("no response to {method} {target}"))
}

/// Sends one request; `None` without a response.
pub(crate) fn try_send(
    socket: &Path,
    method: &str,
    target: &str,
    body: Option<&Value>,
) -> Option<Answer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = connect(socket).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    Answer::read(stream)
}

/// Connects. Reads and writes fail at the deadline.
pub fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    let patience = Some(Deadline::start().left());
    stream.set_read_timeout(patience)?;
    stream.set_write_timeout(patience)?;
    Ok(stream)
}

impl Answer {
    /// Reads a response; `None` if the connection is closed before its headers are complete.
    #[must_use]
    pub fn read(stream: UnixStream) -> Option<Self> {
        let connection = stream.try_clone().ok()?;
        let mut stream = BufReader::new(stream);
        let status = line(&mut stream)?;
        let status = status.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let header = line(&mut stream)?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Self {
            status,
            headers,
            body: Box::new(std::io::empty()),
            connection,
        };
        answer.body = match answer.header("content-length") {
            _ if answer.header("transfer-encoding") == Some("chunked") => {
                Box::new(Chunks { stream, left: 0 })
            }
            Some(length) => Box::new(stream.take(length.parse().ok()?)),
            None => Box::new(stream),
        };
        Some(answer)
    }

    /// The first header with this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(it, _)| it == name);
        header.map(|(_, value)| value.as_str())
    }

    /// The whole body.
    #[must_use]
    pub fn text(mut self) -> String {
        let mut text = String::new();
        let read = self.body.read_to_string(&mut text);
        read.unwrap_or_else(|error| panic!("{error} after {text}"));
        text
    }

    /// The body as one JSON value.
    #[must_use]
    pub fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The body as a stream of JSON lines.
    #[must_use]
    pub fn stream(self) -> Stream {
        Stream {
            lines: Lines::of(self.body),
            connection: self.connection,
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Shuts down the sending direction of the connection: the client wants the rest.
    pub fn ask_for_rest(&self) {
        let shut = self.connection.shutdown(Shutdown::Write);
        shut.expect("the connection is open");
    }

    /// The next line. Panics at the deadline.
    #[must_use]
    pub fn next(&self) -> Value {
        let line = self.lines.next(Deadline::start());
        parse(&line.unwrap_or_else(|reason| panic!("no line: {reason:?}")))
    }

    /// The first line of this type. The lines before it are dropped.
    #[must_use]
    pub fn next_of(&self, kind: &str) -> Value {
        let deadline = Deadline::start();
        let mut before = Vec::new();
        loop {
            let line = self.lines.next(deadline);
            let line =
                line.unwrap_or_else(|reason| panic!("no {kind} ({reason:?}) after {before:#?}"));
            let line = parse(&line);
            if line["type"] == kind {
                return line;
            }
            before.push(line);
        }
    }

    /// All lines up to the end of the response.
    #[must_use]
    pub fn rest(&self) -> Vec<Value> {
        self.lines.rest().iter().map(|line| parse(line)).collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Without it the reader thread would keep the connection open until the next line. The
        // call fails if the server closed the connection before.
        let _closed = self.connection.shutdown(Shutdown::Both);
    }
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// A line without its CRLF; `None` at the end of the stream.
fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

/// A body with chunked transfer encoding.
struct Chunks<S> {
    stream: S,
    /// Bytes left of the current chunk.
    left: usize,
}

impl<S: BufRead> Read for Chunks<S> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        if self.left == 0 {
            let size = line(&mut self.stream).ok_or_else(broken)?;
            self.left = usize::from_str_radix(&size, 16).map_err(std::io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = self.left.min(buffer.len());
        let read = self.stream.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(broken());
        }
        self.left -= read;
        if self.left == 0 {
            line(&mut self.stream).ok_or_else(broken)?;
        }
        Ok(read)
    }
}
