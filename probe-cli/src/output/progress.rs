//! The progress bar on stderr, and lines that are written while it is shown.
//!
//! The log, messages and records may go to the terminal of the bar. Each of them hides the bar
//! first, because the rest of the bar would stay beside the line otherwise.

use std::{
    io::{self, Write},
    mem,
    sync::{Mutex, PoisonError},
};

use indicatif::ProgressBar;

/// The bar that is shown. There is at most one, as there is one stderr.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Replaces the bar that is shown, and returns the previous one.
fn replace(bar: Option<ProgressBar>) -> Option<ProgressBar> {
    // The lock is never held during a write, so a poisoned one guards a whole value.
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    mem::replace(&mut *shown, bar)
}

/// A progress bar, which disappears when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn show(bar: ProgressBar) -> Self {
        replace(Some(bar.clone()));
        Self(bar)
    }

    /// Shows how many processes are left. The total is the largest number so far.
    pub(crate) fn set_live(&self, live: u64) {
        let most = self.0.length().unwrap_or(0).max(live);
        // There is no process to count, for example in an empty cgroup that is awaited until
        // removed.
        if most > 0 {
            self.0.set_length(most);
            self.0.set_position(most - live);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        replace(None);
        self.0.finish_and_clear();
    }
}

/// Hides the progress bar, which may be on the same terminal, while lines are written.
/// Leaves a bar alone that shows nothing yet.
pub(crate) fn above_progress<T>(write: impl FnOnce() -> T) -> T {
    // A line that is written meanwhile, such as one of the log, finds no bar: the lock of the bar
    // is held.
    let Some(bar) = replace(None) else {
        return write();
    };
    let written = if bar.length() == Some(0) {
        write()
    } else {
        bar.suspend(write)
    };
    replace(Some(bar));
    written
}

/// stderr for the log, which writes whole lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOutput;

impl Write for LogOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above_progress(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
