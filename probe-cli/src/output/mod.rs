//! What people and programs see on stdout.
//!
//! [`Out`] gathers lines and writes them at once, because a line-buffered stdout
//! costs a system call for each record. The caller decides when to flush.

mod backend;
pub mod human;
pub(crate) mod reporter;
mod stdout;
pub(crate) mod subject;
pub(crate) mod verdict;

use std::io::{self, Write};

pub(crate) use backend::{Backend, waker_word};
pub use stdout::{Stdout, StopFlag};

/// Bytes gathered before they are written without being asked.
const FLUSH_AT: usize = 64 * 1024;

/// stdout, or what stands for it in a test.
#[derive(Debug)]
pub struct Out<W: Write> {
    to: W,
    gathered: Vec<u8>,
    discards: bool,
}

impl Out<Stdout> {
    /// The process's stdout.
    pub fn stdout(stop: StopFlag) -> io::Result<Self> {
        Stdout::new(stop).map(Self::new)
    }
}

impl<W: Write> Out<W> {
    /// Nothing gathered yet.
    pub(crate) fn new(to: W) -> Self {
        Self {
            to,
            gathered: Vec::with_capacity(FLUSH_AT + 4096),
            discards: false,
        }
    }

    /// Adds what `line` writes, and the end of the line.
    pub(crate) fn line(
        &mut self,
        line: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        line(&mut self.gathered)?;
        self.gathered.push(b'\n');
        if self.gathered.len() >= FLUSH_AT {
            self.flush()?;
        }
        Ok(())
    }

    /// Discards all further output: the exit code of a command matters even if
    /// the reader of stdout has gone.
    pub fn discard_output(&mut self) {
        self.discards = true;
        self.gathered.clear();
    }

    /// Writes everything gathered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.discards {
            self.gathered.clear();
        }
        if !self.gathered.is_empty() {
            let written = self.to.write_all(&self.gathered);
            self.gathered.clear();
            written?;
        }
        Ok(())
    }
}

/// Whether the reader has gone away, which ends a stream without being a
/// failure.
#[must_use]
pub(crate) fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader has gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn output_that_is_discarded_never_fails() {
        let mut out = Out::new(Closed);
        let line = |line: &mut Vec<u8>| line.write_all(b"x");
        out.line(line).expect("gathered");
        let error = out.flush().expect_err("the reader has gone");
        assert!(is_closed(&error));
        out.discard_output();
        out.line(line).expect("gathered");
        out.flush().expect("thrown away");
    }
}
