//! The keys.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Model;

/// The action after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The screen is drawn again.
    Continue,
    /// The command ends.
    Quit,
    /// The process stops until the shell continues it.
    Suspend,
}

/// Number of rows that a page key scrolls.
const PAGE: isize = 10;
/// Maximum length of the filter.
const MAX_FILTER: usize = 64;

/// The rows of the help: keys and what they do.
pub(super) const HELP: [(&str, &str); 13] = [
    (
        "arrows, j, k",
        "select a container or cgroup, or scroll the list",
    ),
    ("page up/down", "scroll faster; g and G go to the ends"),
    (
        "Enter",
        "show the processes and last exits of the selection",
    ),
    ("Esc", "close what is open: the help, a text, the selection"),
    ("Tab", "go to the other list"),
    ("s, S", "sort the list by its next or previous column"),
    ("r", "reverse the order"),
    ("f", "show only processes that did not end by exit(0)"),
    ("/", "show only names, containers and cgroups with a text"),
    ("p, space", "pause the screen; counting continues"),
    ("Ctrl-Z", "suspend probe top and return to the shell"),
    ("?, h", "show or hide this help"),
    ("q, Ctrl-C", "quit"),
];

impl Model {
    /// Applies a key.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Flow {
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C') if is_ctrl => return Flow::Quit,
            KeyCode::Char('z' | 'Z') if is_ctrl => return Flow::Suspend,
            KeyCode::Char(_) if is_ctrl => {}
            code if self.is_typing => self.type_filter(code),
            KeyCode::Char('q') => return Flow::Quit,
            code if self.shows_help => self.press_in_help(code),
            code => self.press_in_lists(code),
        }
        Flow::Continue
    }

    /// Keys change nothing behind the help.
    const fn press_in_help(&mut self, key: KeyCode) {
        if matches!(key, KeyCode::Esc | KeyCode::Char('?' | 'h')) {
            self.shows_help = false;
        }
    }

    fn press_in_lists(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char('p' | ' ') => self.pause(),
            KeyCode::Char('s') => self.order().next(false),
            KeyCode::Char('S') => self.order().next(true),
            KeyCode::Char('r') => self.order().is_reversed ^= true,
            KeyCode::Char('f') => {
                self.options.failed_only = !self.options.failed_only;
                self.exits_scrolled = 0;
            }
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('?' | 'h') => self.shows_help = true,
            KeyCode::Esc if self.opened.is_some() => self.close(),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Enter => self.open(),
            KeyCode::Tab | KeyCode::BackTab => self.is_in_exits = !self.is_in_exits,
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::PageUp => self.move_by(-PAGE),
            KeyCode::PageDown => self.move_by(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.move_by(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.move_by(isize::MAX),
            _ => {}
        }
    }

    fn type_filter(&mut self, key: KeyCode) {
        self.exits_scrolled = 0;
        self.processes_scrolled = 0;
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(char) if self.filter.len() < MAX_FILTER && !char.is_control() => {
                self.filter.push(char);
            }
            _ => {}
        }
    }
}
