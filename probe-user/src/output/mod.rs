//! What a person or a program sees: the only place that formats records.
//!
//! stdout is data. [`Out`] gathers lines and writes them in one go, because a
//! line-buffered stdout costs a system call a record; who calls
//! [`Out::flush`], and when, is the pipeline's business.

pub mod doctor;
pub mod human;
pub mod json;
pub mod verdict;

use std::{
    fs::File,
    io::{self, Write},
};

/// Bytes gathered before they are written without being asked.
const FLUSH_AT: usize = 64 * 1024;

/// stdout, or what stands for it in a test.
#[derive(Debug)]
pub struct Out<W: Write> {
    to: W,
    gathered: Vec<u8>,
}

impl Out<File> {
    /// The process's stdout, without the line buffer of [`std::io::Stdout`].
    pub fn stdout() -> io::Result<Self> {
        let fd = rustix::io::dup(rustix::stdio::stdout())?;
        Ok(Self::new(File::from(fd)))
    }
}

impl<W: Write> Out<W> {
    /// Nothing gathered yet.
    pub fn new(to: W) -> Self {
        Self {
            to,
            gathered: Vec::with_capacity(FLUSH_AT + 4096),
        }
    }

    /// Adds what `line` writes, and the end of the line.
    pub fn line(&mut self, line: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        line(&mut self.gathered)?;
        self.gathered.push(b'\n');
        if self.gathered.len() >= FLUSH_AT {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes everything gathered.
    pub fn flush(&mut self) -> io::Result<()> {
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
pub fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
