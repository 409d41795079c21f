//! Lines of another program. The wait for each has a limit, so that a program that hangs
//! does not stop a benchmark for ever.

use std::{
    io::{BufRead, BufReader, Read},
    os::fd::AsFd,
    time::Duration,
};

use anyhow::{Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A program that prints nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next line without its end; `None` at the end of the stream.
pub(super) fn next<R: Read + AsFd>(from: &mut BufReader<R>) -> Result<Option<String>> {
    if from.buffer().is_empty() {
        await_readable(from.get_ref())?;
    }
    let mut line = String::new();
    let length = from.read_line(&mut line)?;
    Ok((length > 0).then(|| line.trim_end().to_owned()))
}

/// Returns when the descriptor can be read: a pipe, or the pidfd of a process that has
/// exited.
pub(super) fn await_readable(descriptor: impl AsFd) -> Result<()> {
    let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&Timespec::try_from(PATIENCE)?))?;
    let seconds = PATIENCE.as_secs();
    ensure!(ready == 1, "nothing happens for {seconds} s");
    Ok(())
}
