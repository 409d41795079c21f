//! The state of the screen: the counts, and the options for showing them.

use std::{cmp::Reverse, sync::Arc};

use clap::ValueEnum;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    Event, ExitRow, Place,
    tally::{PlaceCounts, Tally},
};

/// The order of the places. `--help` shows the comments of the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// most exits per second first
    #[default]
    Exits,
    /// most live processes first
    Live,
    /// most failures first
    Failures,
    /// alphabetical
    Name,
}

impl Sort {
    /// The name on the screen.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exits => "exits",
            Self::Live => "live",
            Self::Failures => "failures",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        let all = Self::value_variants();
        all[(self as usize + 1) % all.len()]
    }
}

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

/// The initial options of a screen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The name of the source of events.
    pub backend: &'static str,
    /// The order of the places.
    pub sort: Sort,
    /// Whether only processes are shown that did not end by `exit(0)`.
    pub failed_only: bool,
    /// Whether failures and the graph are coloured.
    pub colour: bool,
}

/// Number of rows that a page key scrolls.
const PAGE: usize = 10;
/// Maximum length of the filter.
const MAX_FILTER: usize = 64;

/// The state of the screen.
#[derive(Debug)]
pub struct Model {
    counted: Tally,
    /// The counts on a paused screen.
    frozen: Option<Tally>,
    pub(super) options: Options,
    /// A text that a name or place must contain to be shown.
    pub(super) filter: String,
    pub(super) is_typing: bool,
    pub(super) shows_help: bool,
    /// Number of exits above the first that is shown.
    pub(super) scrolled: usize,
}

impl Model {
    /// Creates a model without counts.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            counted: Tally::default(),
            frozen: None,
            options,
            filter: String::new(),
            is_typing: false,
            shows_help: false,
            scrolled: 0,
        }
    }

    /// Sets the name of the source of events.
    pub(crate) fn set_backend(&mut self, backend: &'static str) {
        self.options.backend = backend;
    }

    /// Counts an event.
    pub(crate) fn apply(&mut self, event: Event) {
        self.counted.apply(event);
    }

    /// Begins the next second.
    pub(crate) fn tick(&mut self) {
        self.counted.tick();
    }

    /// Whether the screen is paused. Counting continues.
    #[must_use]
    pub(crate) const fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// Applies a key.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Flow {
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C') if is_ctrl => return Flow::Quit,
            KeyCode::Char('z' | 'Z') if is_ctrl => return Flow::Suspend,
            KeyCode::Char(_) if is_ctrl => {}
            code if self.is_typing => self.type_filter(code),
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Char('p' | ' ') => self.pause(),
            KeyCode::Char('s') => self.options.sort = self.options.sort.next(),
            KeyCode::Char('f') => {
                self.options.failed_only = !self.options.failed_only;
                self.scrolled = 0;
            }
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('?' | 'h') => self.shows_help = !self.shows_help,
            KeyCode::Esc if self.shows_help => self.shows_help = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::PageUp => self.scroll(-PAGE.cast_signed()),
            KeyCode::PageDown => self.scroll(PAGE.cast_signed()),
            KeyCode::Home | KeyCode::Char('g') => self.scrolled = 0,
            _ => {}
        }
        Flow::Continue
    }

    fn type_filter(&mut self, key: KeyCode) {
        self.scrolled = 0;
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

    fn pause(&mut self) {
        let is_paused = self.frozen.take().is_some();
        self.frozen = (!is_paused).then(|| self.counted.clone());
    }

    fn scroll(&mut self, lines: isize) {
        let last = self.exits().count().saturating_sub(1);
        self.scrolled = self.scrolled.saturating_add_signed(lines).min(last);
    }

    pub(super) fn shown(&self) -> &Tally {
        self.frozen.as_ref().unwrap_or(&self.counted)
    }

    /// The exits that pass the filters, the latest first.
    pub(super) fn exits(&self) -> impl Iterator<Item = &Arc<ExitRow>> {
        self.shown().exits.iter().filter(|exit| {
            (exit.is_failure || !self.options.failed_only)
                && (self.admits(&exit.comm) || self.admits(&exit.place.label))
        })
    }

    /// The places that pass the filters, in the selected order.
    pub(super) fn places(&self) -> Vec<(&Place, &PlaceCounts)> {
        let mut places: Vec<_> = self
            .shown()
            .places
            .iter()
            .filter(|(place, of)| {
                self.admits(&place.label) && (of.failures > 0 || !self.options.failed_only)
            })
            .collect();
        places.sort_by_cached_key(|&(place, of)| {
            let (first, second) = match self.options.sort {
                Sort::Exits => (of.tenths_per_second(), of.live),
                Sort::Live => (of.live, of.tenths_per_second()),
                Sort::Failures => (of.failures, of.tenths_per_second()),
                Sort::Name => (0, 0),
            };
            (Reverse((first, second)), place.clone())
        });
        places
    }

    fn admits(&self, text: &str) -> bool {
        text.contains(&self.filter)
    }
}
