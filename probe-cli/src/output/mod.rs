//! The output on stdout, for people and programs.
//!
//! [`Out`] buffers lines, because a line-buffered stdout costs a system call for each record.
//! The caller decides when to flush.

mod backend;
pub mod human;
mod progress;
mod records;
pub(crate) mod reporter;
mod stdout;
pub(crate) mod verdict;

use std::io::{self, Write};

pub(crate) use backend::{Backend, waker_name};
pub use progress::LogOutput;
pub(crate) use progress::{Progress, above_progress};
pub(crate) use records::RecordPrinter;
pub use stdout::{Stdout, StopFlag};

/// The buffer is flushed when it holds this many bytes.
const FLUSH_AT: usize = 64 * 1024;

/// stdout, or a replacement for it in a test.
#[derive(Debug)]
pub struct Out<W: Write> {
    to: W,
    buffered: Vec<u8>,
    discards: bool,
}

impl Out<Stdout> {
    /// The process's stdout.
    pub fn stdout(stop: StopFlag) -> io::Result<Self> {
        Stdout::new(stop).map(Self::new)
    }
}

impl<W: Write> Out<W> {
    /// An empty buffer for a writer.
    pub(crate) fn new(to: W) -> Self {
        Self {
            to,
            buffered: Vec::with_capacity(FLUSH_AT + 4096),
            discards: false,
        }
    }

    /// The lines that were not written yet.
    #[cfg(test)]
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffered
    }

    /// Adds what `line` writes, and a line end.
    pub(crate) fn line(
        &mut self,
        line: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        line(&mut self.buffered)?;
        self.buffered.push(b'\n');
        if self.buffered.len() >= FLUSH_AT {
            self.flush()?;
        }
        Ok(())
    }

    /// Discards all further output, because the exit code of a command matters even if the
    /// reader of stdout has gone.
    pub fn discard_output(&mut self) {
        self.discards = true;
        self.buffered.clear();
    }

    /// Writes the buffer.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.discards {
            self.buffered.clear();
        }
        if !self.buffered.is_empty() {
            let written = self.to.write_all(&self.buffered);
            self.buffered.clear();
            written?;
        }
        Ok(())
    }
}

/// Treats a reader that has gone as success.
pub(crate) fn ignore_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| {
        if is_closed(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Whether the reader has gone, or does not read although the command is to stop. This ends a
/// stream, but is not a failure of the write.
#[must_use]
pub(crate) fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || is_unread(error)
}

/// Whether the reader does not read although the command is to stop.
#[must_use]
pub(crate) fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
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
    fn discarded_output_never_fails() {
        let mut out = Out::new(Closed);
        let line = |line: &mut Vec<u8>| line.write_all(b"x");
        out.line(line).expect("buffered");
        let error = out.flush().expect_err("the reader has gone");
        assert!(is_closed(&error));
        out.discard_output();
        out.line(line).expect("buffered");
        out.flush().expect("discarded");
    }
}
