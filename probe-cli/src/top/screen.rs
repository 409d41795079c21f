//! The terminal while the screen owns it.
//!
//! The previous state of the terminal is restored at every end: by `Drop` after a return, by a
//! hook after a panic (a release build aborts, so that `Drop` does not run), and after a
//! signal because the command listens to signals.

use std::{
    io::{self, BufWriter, Write},
    panic,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    cursor, execute, queue,
    terminal::{
        Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use super::{Model, draw};
use crate::output::{Stdout, StopFlag};

/// The largest screen that is drawn, which limits memory: a terminal may report any size.
const MAX_SIZE: (u16, u16) = (1024, 512);
/// The assumed size of a terminal that reports none.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// The terminal while the screen owns it.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<TerminalOut>>>,
    is_acquired: bool,
    is_over: StopFlag,
}

/// stdout, until the screen is dropped. Later writes, by buffers that are dropped, are
/// discarded without an error: `Terminal` would report it to stderr, which may be the same
/// blocked terminal.
struct TerminalOut {
    to: Stdout,
    is_over: StopFlag,
}

impl Write for TerminalOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_over.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// Acquires the terminal. Once `stop` is set, a terminal that accepts no output is
    /// abandoned.
    pub fn enter(stop: StopFlag) -> io::Result<Self> {
        restore_on_panic();
        let is_over = StopFlag::default();
        let out = TerminalOut {
            to: Stdout::new(stop)?,
            is_over: Arc::clone(&is_over),
        };
        let out = BufWriter::with_capacity(1 << 16, out);
        let viewport = Viewport::Fixed(size());
        let terminal =
            Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport })?;
        let mut screen = Self {
            terminal,
            is_acquired: false,
            is_over,
        };
        screen.acquire()?;
        Ok(screen)
    }

    /// Acquires the terminal, or acquires it again: a shell may have changed its state while
    /// this process was stopped.
    pub(crate) fn acquire(&mut self) -> io::Result<()> {
        if self.is_acquired {
            disable_raw_mode()?;
        }
        self.is_acquired = true;
        enable_raw_mode()?;
        queue!(
            self.terminal.backend_mut(),
            EnterAlternateScreen,
            cursor::Hide,
            Clear(ClearType::All)
        )?;
        self.resize()
    }

    /// Restores the previous state of the terminal.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_acquired) {
            restore()?;
        }
        Ok(())
    }

    /// Applies the current size of the terminal.
    pub(crate) fn resize(&mut self) -> io::Result<()> {
        self.terminal.resize(size())
    }

    /// Draws the model.
    pub fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, model)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // This fails if the terminal was closed.
        let _gone = self.release();
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn size() -> Rect {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    let reported = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let or = |size: u16, default: u16, max: u16| if size == 0 { default } else { size.min(max) };
    Rect::new(
        0,
        0,
        or(reported.0, DEFAULT_SIZE.0, MAX_SIZE.0),
        or(reported.1, DEFAULT_SIZE.1, MAX_SIZE.1),
    )
}

/// Restores the modes first, because that needs no room in the queue of the terminal.
fn restore() -> io::Result<()> {
    let modes = disable_raw_mode();
    let patience = StopFlag::new(AtomicBool::new(true));
    let mut out = BufWriter::new(Stdout::new(patience)?);
    execute!(out, LeaveAlternateScreen, cursor::Show)?;
    out.flush()?;
    modes
}

fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _gone = restore();
            report(info);
        }));
    });
}
