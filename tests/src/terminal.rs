//! A terminal of the test's own, and what a person would see on it.
//!
//! It understands what full-screen programs write: cursor movements, erasing,
//! the alternate screen, the cursor's visibility. Colours are passed over.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::Deadline;

/// Both ends of a terminal that is so large.
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

/// A terminal that somebody looks at.
#[derive(Debug)]
pub struct Terminal {
    ours: File,
    theirs: OwnedFd,
    display: Arc<Mutex<Display>>,
}

impl Terminal {
    /// Nothing on it.
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        let (ours, theirs) = pair(columns, rows);
        let display = Arc::new(Mutex::new(Display::default()));
        let mut reader = ours.try_clone().expect("a file descriptor");
        let shown = Arc::clone(&display);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO once nobody has the other end open any more.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let mut display = shown.lock().expect("nobody panics with it");
                display.take(&bytes[..count]);
            }
        });
        Self {
            ours,
            theirs,
            display,
        }
    }

    /// The end that a program gets.
    #[must_use]
    pub fn end(&self) -> OwnedFd {
        self.theirs.try_clone().expect("a file descriptor")
    }

    /// Somebody presses keys.
    pub fn press(&self, keys: &str) {
        let mut ours = &self.ours;
        ours.write_all(keys.as_bytes()).expect("a pty");
    }

    /// Somebody changes the size of the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.ours, size(columns, rows)).expect("a pty");
    }

    /// Nobody reads what it is told until this is dropped, so that it soon takes
    /// nothing more.
    pub fn look_away(&self) -> MutexGuard<'_, Display> {
        self.display.lock().expect("nobody panics with it")
    }

    /// How it treats what is pressed.
    #[must_use]
    pub fn modes(&self) -> Modes {
        Modes::of(&tcgetattr(&self.theirs).expect("a terminal"))
    }

    /// What is on it now.
    #[must_use]
    pub fn shown(&self) -> Display {
        self.display.lock().expect("nobody panics with it").clone()
    }

    /// Returns when it shows what is waited for.
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

/// How a terminal treats what is pressed.
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

/// What a person sees.
#[derive(Clone, Debug, Default)]
pub struct Display {
    /// Characters by row and column, both from 0.
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Whether the other screen is shown, which leaves no trace.
    pub is_alternate: bool,
    /// How often that changed.
    pub switches: usize,
    /// Whether the cursor is hidden.
    pub is_cursor_hidden: bool,
    pending: Vec<u8>,
}

impl Display {
    /// Without what is blank at their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let rows = self.rows.iter();
        rows.map(|row| row.iter().collect::<String>().trim_end().to_owned())
            .collect()
    }

    /// Whether a text stands in one line.
    #[must_use]
    pub fn has(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while !rest.is_empty() {
            match self.step(rest) {
                Some(taken) => rest = &rest[taken..],
                None => break,
            }
        }
        self.pending = rest.to_vec();
    }

    /// How many bytes were understood; `None` if some are still to come.
    fn step(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes[0] {
            0x1b => self.escape(bytes),
            b'\r' => {
                self.column = 0;
                Some(1)
            }
            b'\n' => {
                self.row += 1;
                Some(1)
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                Some(1)
            }
            0..0x20 | 0x7f => Some(1),
            first => {
                let length = match first {
                    0..0x80 => 1,
                    0x80..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    _ => 4,
                };
                let text = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
                text.chars().for_each(|char| self.put(char));
                Some(length)
            }
        }
    }

    fn put(&mut self, char: char) {
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, Vec::new());
        }
        let row = &mut self.rows[self.row];
        if row.len() <= self.column {
            row.resize(self.column + 1, ' ');
        }
        row[self.column] = char;
        self.column += 1;
    }

    fn escape(&mut self, bytes: &[u8]) -> Option<usize> {
        if *bytes.get(1)? != b'[' {
            return Some(2);
        }
        let length = bytes[2..]
            .iter()
            .position(|byte| (0x40..0x7f).contains(byte))?;
        let parameters = String::from_utf8_lossy(&bytes[2..2 + length]).into_owned();
        self.control(bytes[2 + length], &parameters);
        Some(3 + length)
    }

    fn control(&mut self, last: u8, parameters: &str) {
        let mut numbers = parameters.split(';').map(|it| it.parse().unwrap_or(1));
        match (last, parameters) {
            (b'H', _) => {
                self.row = numbers.next().unwrap_or(1).max(1) - 1;
                self.column = numbers.next().unwrap_or(1).max(1) - 1;
            }
            (b'J', _) => self.rows.clear(),
            (b'h', "?1049") => self.switch(true),
            (b'l', "?1049") => self.switch(false),
            (b'h', "?25") => self.is_cursor_hidden = false,
            (b'l', "?25") => self.is_cursor_hidden = true,
            _ => {}
        }
    }

    fn switch(&mut self, to_alternate: bool) {
        self.is_alternate = to_alternate;
        self.switches += 1;
        self.rows.clear();
    }
}
