//! stdout, on which no write blocks for long.
//!
//! A pipe with a reader that does not read blocks its writer, and a blocked writer does not
//! notice Ctrl-C. So this writer waits until the pipe has room, checks the stop flag
//! meanwhile, and writes no more than the room takes.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
    io::Errno,
    stdio::stdout,
    termios::isatty,
};

/// Set when a signal asks the command to stop.
pub type StopFlag = Arc<AtomicBool>;

/// `POLLOUT` guarantees this much room in a pipe: `PIPE_BUF` of `pipe(7)`.
const ROOM: usize = 4096;
/// Time between two checks of the stop flag.
const CHECK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// How long a reader may block the writer once the stop flag is set.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens the terminal at stdout again as non-blocking, because `POLLOUT` does not guarantee
/// room in a terminal, so that a blocking write may block. The open file of stdout itself
/// stays blocking, because other processes share it. Returns `None` if stdout is not a
/// terminal, or a terminal of another user.
fn terminal() -> Option<File> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    isatty(stdout())
        .then(|| open("/proc/self/fd/1", flags, Mode::empty()).ok())?
        .map(File::from)
}

/// stdout, without the line buffer of [`std::io::Stdout`].
#[derive(Debug)]
pub struct Stdout {
    to: File,
    /// A regular file always has room.
    is_file: bool,
    stop: StopFlag,
    stopped_at: Option<Instant>,
}

impl Stdout {
    /// Opens stdout. Once `stop` is set, writes to a blocked reader fail.
    pub(crate) fn new(stop: StopFlag) -> io::Result<Self> {
        let to = match terminal() {
            Some(terminal) => terminal,
            None => File::from(rustix::io::dup(stdout())?),
        };
        Ok(Self {
            is_file: to.metadata()?.is_file(),
            to,
            stop,
            stopped_at: None,
        })
    }

    /// Waits until there is room. It is an error if the reader does not read after the stop
    /// flag was set.
    fn wait_for_room(&mut self) -> io::Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.to, PollFlags::OUT)];
            match poll(&mut fds, Some(&CHECK_EVERY)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
            if self.stop.load(Ordering::Relaxed)
                && self.stopped_at.get_or_insert_with(Instant::now).elapsed() > PATIENCE
            {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_file {
            return self.to.write(bytes);
        }
        loop {
            self.wait_for_room()?;
            match self.to.write(&bytes[..bytes.len().min(ROOM)]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
