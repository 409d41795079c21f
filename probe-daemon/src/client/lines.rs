//! The lines of a response body.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio_util::codec::{AnyDelimiterCodec, Decoder};

use super::{ClientError, connection::Connection, numbers::Numbers};

/// Longest line that is accepted, in bytes; far longer than any line of the daemon.
pub(super) const MAX_LINE: usize = 1 << 20;

/// A response body that is read line by line.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    splitter: Splitter,
    /// Dropping the body closes the connection.
    connection: Connection,
    /// Converts the pids of the records in the lines.
    pub(super) numbers: Numbers,
}

impl Lines {
    pub(super) fn new(body: Incoming, connection: Connection, numbers: Numbers) -> Self {
        Self {
            body,
            splitter: Splitter::new(),
            connection,
            numbers,
        }
    }

    /// Asks the daemon for the rest of the stream.
    pub(super) fn ask_for_rest(&self) {
        self.connection.ask_for_rest();
    }

    /// The next line that is not empty, without its newline; `None` at the end of
    /// the body. A body that ends inside a line is an error. This method is cancel safe: a
    /// caller may drop the future and call again. After an error there are no more lines.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.splitter.next()? {
                Some(line) if line.is_empty() => {}
                Some(line) => return Ok(Some(line)),
                None => match self.body.frame().await {
                    None if self.splitter.is_empty() => return Ok(None),
                    None => return Err(ClientError::Gone),
                    Some(frame) => {
                        if let Ok(data) = frame?.into_data() {
                            self.splitter.push(&data);
                        }
                    }
                },
            }
        }
    }
}

/// Splits the body into lines.
///
/// `LinesCodec` would copy every line into a `String`, and report a line that is not
/// UTF-8 as an I/O error. `FramedRead` would return an unfinished line at the end of the
/// body as a whole line.
#[derive(Debug)]
struct Splitter {
    bytes: BytesMut,
    codec: AnyDelimiterCodec,
}

impl Splitter {
    fn new() -> Self {
        let newline = || b"\n".to_vec();
        Self {
            bytes: BytesMut::new(),
            codec: AnyDelimiterCodec::new_with_max_length(newline(), newline(), MAX_LINE),
        }
    }

    fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// The next whole line; `None` if more bytes are needed.
    fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        // The codec does no I/O here, so its only error is that of the length.
        let too_long = |_error| ClientError::TooLong { limit: MAX_LINE };
        self.codec.decode(&mut self.bytes).map_err(too_long)
    }

    /// Whether no unfinished line is left.
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split_all(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let mut splitter = Splitter::new();
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece);
            while let Some(line) = splitter.next().expect("short lines") {
                lines.push(line.to_vec());
            }
        }
        (lines, splitter.is_empty())
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_pieces_of_the_body(
            text in "[ab\n]{0,60}", sizes in proptest::collection::vec(1_usize..9, 1..60),
        ) {
            let (whole, is_empty) = split_all(&[text.as_bytes()]);
            let mut rest = text.as_bytes();
            let mut pieces = Vec::new();
            for size in sizes {
                let (piece, others) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = others;
            }
            pieces.push(rest);
            prop_assert_eq!(split_all(&pieces), (whole.clone(), is_empty));
            let expected: Vec<_> = text.split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .map(|line| line.as_bytes().to_vec())
                .collect();
            prop_assert_eq!(whole, expected);
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_its_newline_arrives() {
        let mut splitter = Splitter::new();
        splitter.push(b"short\n");
        assert!(matches!(splitter.next(), Ok(Some(_))));
        splitter.push(&vec![b' '; MAX_LINE]);
        assert!(matches!(splitter.next(), Ok(None)));
        splitter.push(b" ");
        assert!(matches!(splitter.next(), Err(ClientError::TooLong { .. })));
    }
}
