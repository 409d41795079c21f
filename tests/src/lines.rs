//! Lines of a pipe. A thread reads them, so that waiting for a line can time out.

use std::{
    io::{BufRead, BufReader, Read},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
};

use crate::Deadline;

/// The lines that the thread has read.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLine {
    /// All writers have closed the pipe.
    Closed,
    /// The deadline passed.
    Late,
}

impl Lines {
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line);
                let sent = sender.send(text.trim_end_matches('\n').to_owned());
                line.clear();
                if sent.is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    pub(crate) fn next(&self, deadline: Deadline) -> Result<String, NoLine> {
        self.0
            .recv_timeout(deadline.left())
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => NoLine::Late,
                RecvTimeoutError::Disconnected => NoLine::Closed,
            })
    }

    /// All lines up to the end of the pipe. The deadline applies to each line.
    pub(crate) fn rest(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next(Deadline::start()) {
                Ok(line) => lines.push(line),
                Err(NoLine::Closed) => return lines,
                Err(NoLine::Late) => panic!("no further line after {lines:#?}"),
            }
        }
    }

    /// The lines that have arrived; does not wait.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }
}
