//! A body that comes line by line.

use std::ops::Range;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{ClientError, connection::Connection};

/// No line of ours comes near.
pub(super) const LONGEST: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    cutter: Cutter,
    /// It ends with the last line that somebody may want.
    _connection: Connection,
}

impl Lines {
    pub(super) fn new(body: Incoming, connection: Connection) -> Self {
        Self {
            body,
            cutter: Cutter::default(),
            _connection: connection,
        }
    }

    /// The next line that is not empty, without its end; `None` at the end of the
    /// body. May be dropped and asked for again.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, ClientError> {
        let line = loop {
            match self.cutter.cut()? {
                Some(line) if line.is_empty() => {}
                Some(line) => break line,
                None => match self.body.frame().await {
                    None if self.cutter.is_empty() => return Ok(None),
                    None => return Err(ClientError::Gone),
                    Some(frame) => {
                        if let Ok(data) = frame?.into_data() {
                            self.cutter.add(&data);
                        }
                    }
                },
            }
        };
        Ok(Some(&self.cutter.bytes[line]))
    }
}

/// Bytes in, lines out.
#[derive(Debug, Default)]
struct Cutter {
    bytes: Vec<u8>,
    /// Up to here lines were cut off.
    start: usize,
    /// Up to here there is no end of a line.
    searched: usize,
}

impl Cutter {
    fn add(&mut self, data: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(data);
    }

    /// Where the next line is, if all of it is there.
    fn cut(&mut self) -> Result<Option<Range<usize>>, ClientError> {
        let rest = &self.bytes[self.searched..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.map(|end| self.searched + end);
        self.searched = end.map_or(self.bytes.len(), |end| end + 1);
        if end.unwrap_or(self.bytes.len()) - self.start > LONGEST {
            return Err(ClientError::TooLong { limit: LONGEST });
        }
        Ok(end.map(|end| {
            let line = self.start..end;
            self.start = end + 1;
            line
        }))
    }

    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut_all(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let mut cutter = Cutter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            cutter.add(piece);
            while let Some(line) = cutter.cut().expect("short lines") {
                lines.push(cutter.bytes[line].to_vec());
            }
        }
        (lines, cutter.is_empty())
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut_into_pieces(
            text in "[ab\n]{0,60}", sizes in proptest::collection::vec(1_usize..9, 1..60),
        ) {
            let (whole, is_empty) = cut_all(&[text.as_bytes()]);
            let mut rest = text.as_bytes();
            let mut pieces = Vec::new();
            for size in sizes {
                let (piece, others) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = others;
            }
            pieces.push(rest);
            prop_assert_eq!(cut_all(&pieces), (whole.clone(), is_empty));
            let expected: Vec<_> = text.split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .map(|line| line.as_bytes().to_vec())
                .collect();
            prop_assert_eq!(whole, expected);
        }
    }

    #[test]
    fn a_line_without_end_is_too_long_before_all_of_it_is_there() {
        let mut cutter = Cutter::default();
        cutter.add(b"short\n");
        assert!(matches!(cutter.cut(), Ok(Some(_))));
        cutter.add(&vec![b' '; LONGEST]);
        assert!(matches!(cutter.cut(), Ok(None)));
        cutter.add(b" ");
        assert!(matches!(cutter.cut(), Err(ClientError::TooLong { .. })));
    }
}
