//! A pseudo-terminal for a program under test, and its screen.
//!
//! The crate `vt100` interprets what the program writes. This file opens the
//! pseudo-terminal, reads it, and counts how often the alternate screen is switched,
//! which `vt100` does not report.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    os::fd::OwnedFd,
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize},
};
use vt100::{Parser, Screen};

use crate::{Deadline, Running};

/// Both ends of a pseudo-terminal of this size.
#[must_use]
pub fn pair(columns: u16, rows: u16) -> (File, OwnedFd) {
    let ours =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
    grantpt(&ours).expect("a pty");
    unlockpt(&ours).expect("a pty");
    tcsetwinsize(&ours, size(columns, rows)).expect("a pty");
    let name = ptsname(&ours, Vec::new()).expect("a pty");
    let theirs = open(
        name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .expect("a pty");
    (File::from(ours), theirs)
}

const fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// A terminal with a reader that keeps its display up to date.
#[derive(Debug)]
pub struct Terminal {
    ours: File,
    theirs: OwnedFd,
    display: Arc<Mutex<Display>>,
}

impl Terminal {
    /// An empty terminal of this size.
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        let (ours, theirs) = pair(columns, rows);
        let mut emulator = Emulator::new(columns, rows);
        let display = Arc::new(Mutex::new(emulator.display()));
        let mut reader = ours.try_clone().expect("a file descriptor");
        let shown = Arc::clone(&display);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The read fails with EIO once every descriptor of the other end is closed.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let size = tcgetwinsize(&reader).expect("a pty");
                emulator.resize(size.ws_col, size.ws_row);
                emulator.take(&bytes[..count]);
                *shown.lock().expect("no holder panics") = emulator.display();
            }
        });
        Self {
            ours,
            theirs,
            display,
        }
    }

    /// Starts a program with the terminal as its stdin, stdout and stderr.
    #[must_use]
    pub fn start(&self, command: &mut Command) -> Running {
        let end = || self.theirs.try_clone().expect("a file descriptor");
        command.env("TERM", "xterm").stdin(end()).stdout(end());
        Running::spawn(command.stderr(end()))
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) {
        let mut ours = &self.ours;
        ours.write_all(keys.as_bytes()).expect("a pty");
    }

    /// Changes the size of the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.ours, size(columns, rows)).expect("a pty");
    }

    /// While the guard lives, the terminal is not read, so that its queue fills and
    /// writers of the other end block.
    pub fn pause_reading(&self) -> MutexGuard<'_, Display> {
        self.display.lock().expect("no holder panics")
    }

    /// The modes of the terminal.
    #[must_use]
    pub fn modes(&self) -> Modes {
        Modes::of(&tcgetattr(&self.theirs).expect("a terminal"))
    }

    /// What the terminal shows now.
    #[must_use]
    pub fn shown(&self) -> Display {
        self.display.lock().expect("no holder panics").clone()
    }

    /// Returns when the display is as expected.
    pub fn until(&self, what: &str, mut is_it: impl FnMut(&Display) -> bool) {
        let deadline = Deadline::start();
        loop {
            let shown = self.shown();
            if is_it(&shown) {
                return;
            }
            assert!(!deadline.left().is_zero(), "{what}: {:#?}", shown.lines());
            deadline.pause();
        }
    }

    /// Returns when a line contains all these words: that line.
    #[must_use]
    pub fn line_with(&self, words: &[&str]) -> String {
        let mut found = String::new();
        self.until(&format!("a line with {words:?}"), |display| {
            let mut lines = display.lines().into_iter();
            let line = lines.find(|line| words.iter().all(|word| line.contains(word)));
            found = line.unwrap_or_default();
            !found.is_empty()
        });
        found
    }
}

/// The modes of a terminal: how it processes input and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes(String);

impl Modes {
    fn of(termios: &Termios) -> Self {
        Self(format!(
            "{:?} {:?} {:?} {:?}",
            termios.input_modes, termios.output_modes, termios.control_modes, termios.local_modes
        ))
    }
}

/// The content of a screen.
#[derive(Clone, Debug)]
pub struct Display {
    /// The cells, the cursor, and which of the two screens is shown.
    pub screen: Screen,
    /// How often a program switched to the alternate screen or back. A switch to the
    /// screen that is already shown counts as well.
    pub switches: usize,
}

impl Display {
    /// The lines from top to bottom, without the blanks at their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let rows = self.screen.rows(0, self.screen.size().1.get());
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// The line of the cursor.
    #[must_use]
    pub fn current_line(&self) -> String {
        let row = usize::from(self.screen.cursor_position().0);
        self.lines().swap_remove(row)
    }

    /// Whether a text stands in one line.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }
}

/// The start of the sequence that switches the alternate screen on or off.
const SWITCH: &[u8] = b"\x1b[?1049";

/// Turns what a program writes into a display.
struct Emulator {
    parser: Parser,
    switches: usize,
    /// The last bytes, which may be the start of a switch.
    tail: Vec<u8>,
}

impl Emulator {
    fn new(columns: u16, rows: u16) -> Self {
        Self {
            parser: Parser::new(extent(rows), extent(columns), 0),
            switches: 0,
            tail: Vec::new(),
        }
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.parser.set_size(extent(rows), extent(columns));
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.tail.extend_from_slice(bytes);
        let parts = self.tail.windows(SWITCH.len());
        self.switches += parts.filter(|part| *part == SWITCH).count();
        let done = self.tail.len().saturating_sub(SWITCH.len() - 1);
        self.tail.drain(..done);
    }

    fn display(&self) -> Display {
        Display {
            screen: self.parser.screen().clone(),
            switches: self.switches,
        }
    }
}

/// How many cells of an edge are kept. A test may claim a window of 65,535 rows and
/// columns, and that many cells would not fit into memory.
fn extent(claimed: u16) -> NonZeroU16 {
    NonZeroU16::new(claimed.min(256)).unwrap_or(NonZeroU16::MIN)
}
