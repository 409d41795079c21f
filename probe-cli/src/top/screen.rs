//! The terminal while the screen owns it, and its state before.
//!
//! Every end restores that state: a return by `Drop`, a panic by a hook (a release
//! build aborts, so `Drop` does not run), a signal because the command listens to it.

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

/// The largest screen that is drawn. A terminal that claims to be larger must not cost
/// memory for it.
const MOST: (u16, u16) = (1024, 512);
/// The size of a terminal that does not know its own.
const USUAL: (u16, u16) = (80, 24);

/// The terminal while the screen owns it.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Ours>>>,
    is_ours: bool,
    is_over: StopFlag,
}

/// stdout until the terminal is given back for good. Later writes, by buffers that are
/// dropped, are discarded without an error: `Terminal` would report one to stderr,
/// which may be the same stuck terminal.
struct Ours {
    to: Stdout,
    is_over: StopFlag,
}

impl Write for Ours {
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
    /// Takes the terminal over. Once `stop` is set, a terminal that accepts no output is
    /// not waited for.
    pub fn enter(stop: StopFlag) -> io::Result<Self> {
        restore_on_panic();
        let is_over = StopFlag::default();
        let ours = Ours {
            to: Stdout::new(stop)?,
            is_over: Arc::clone(&is_over),
        };
        let out = BufWriter::with_capacity(1 << 16, ours);
        let viewport = Viewport::Fixed(size());
        let terminal =
            Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport })?;
        let mut screen = Self {
            terminal,
            is_ours: false,
            is_over,
        };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal over, also again: a shell may have changed it while this
    /// process was stopped.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        if self.is_ours {
            disable_raw_mode()?;
        }
        self.is_ours = true;
        enable_raw_mode()?;
        queue!(
            self.terminal.backend_mut(),
            EnterAlternateScreen,
            cursor::Hide,
            Clear(ClearType::All)
        )?;
        self.resize()
    }

    /// Restores the terminal.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_ours) {
            restore()?;
        }
        Ok(())
    }

    /// Asks the terminal for its size again.
    pub(crate) fn resize(&mut self) -> io::Result<()> {
        self.terminal.resize(size())
    }

    /// Shows the model.
    pub fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, model)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _gone = self.give_back();
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn size() -> Rect {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    let reported = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let or = |size: u16, usual: u16, most: u16| if size == 0 { usual } else { size.min(most) };
    Rect::new(
        0,
        0,
        or(reported.0, USUAL.0, MOST.0),
        or(reported.1, USUAL.1, MOST.1),
    )
}

/// Restores the modes first, which need no room in the terminal's queue.
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
