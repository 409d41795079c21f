//! The keys that the screen handles.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key that has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// A letter typed with Ctrl.
    Ctrl(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    Enter,
    Escape,
    Backspace,
}

impl Key {
    /// Returns `None` for a key without a meaning.
    #[must_use]
    pub(crate) fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        Some(match event.code {
            KeyCode::Char(char) if event.modifiers.contains(KeyModifiers::CONTROL) => {
                Self::Ctrl(char.to_ascii_lowercase())
            }
            KeyCode::Char(char) => Self::Char(char),
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Home => Self::Home,
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Escape,
            KeyCode::Backspace => Self::Backspace,
            _ => return None,
        })
    }
}
