//! Lines of a pipe, read by a thread of their own so that waiting for one can
//! end.

use std::{
    io::{BufRead, BufReader, Read},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
};

use crate::Deadline;

/// The reading end.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLine {
    /// Every writer has closed the pipe.
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

    /// Everything up to the end of the pipe, which may take a while as long as
    /// lines come.
    pub(crate) fn rest(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next(Deadline::start()) {
                Ok(line) => lines.push(line),
                Err(NoLine::Closed) => return lines,
                Err(NoLine::Late) => panic!("nothing more came, after {lines:#?}"),
            }
        }
    }

    /// What has come, without waiting.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }
}
