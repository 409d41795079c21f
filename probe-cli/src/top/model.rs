//! The state of the screen: the counts, and how they are shown.

use std::{cmp::Reverse, sync::Arc};

use super::{
    Death, Event, Key, Place,
    tally::{OfPlace, Tally},
};

/// The order of the places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Most exits a second.
    #[default]
    Exits,
    /// Most live processes.
    Live,
    /// Most failures.
    Failures,
    /// By name.
    Name,
}

impl Sort {
    /// The word on the screen.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exits => "exits",
            Self::Live => "live",
            Self::Failures => "failures",
            Self::Name => "name",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Exits => Self::Live,
            Self::Live => Self::Failures,
            Self::Failures => Self::Name,
            Self::Name => Self::Exits,
        }
    }
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Only the screen changes.
    GoOn,
    /// The command ends.
    Quit,
    /// The process stops until the shell continues it.
    Suspend,
}

/// How a screen begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The word for the source of events.
    pub backend: &'static str,
    /// The order of the places.
    pub sort: Sort,
    /// Only what did not end by `exit(0)`.
    pub failed_only: bool,
    /// Whether the terminal shows colours; nothing depends on them.
    pub colour: bool,
}

/// Lines that a page of the deaths moves by.
const PAGE: usize = 10;
/// Characters of the filter at most.
const LONGEST_FILTER: usize = 64;

/// The state of the screen.
#[derive(Debug)]
pub struct Model {
    counted: Tally,
    /// What the screen shows while it is paused.
    frozen: Option<Tally>,
    pub(super) options: Options,
    /// Part of a name or a place.
    pub(super) filter: String,
    pub(super) is_typing: bool,
    pub(super) shows_help: bool,
    /// Deaths above the first that is shown.
    pub(super) scrolled: usize,
}

impl Model {
    /// Nothing counted yet.
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

    /// Events come from another source from now on.
    pub(crate) fn served_by(&mut self, backend: &'static str) {
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

    /// Whether the screen stands still; counting goes on.
    #[must_use]
    pub(crate) const fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// Applies a key.
    pub(crate) fn press(&mut self, key: Key) -> Flow {
        match key {
            Key::Ctrl('c') => return Flow::Quit,
            Key::Ctrl('z') => return Flow::Suspend,
            _ if self.is_typing => self.type_filter(key),
            Key::Char('q') => return Flow::Quit,
            Key::Char('p' | ' ') => self.pause(),
            Key::Char('s') => self.options.sort = self.options.sort.next(),
            Key::Char('f') => {
                self.options.failed_only = !self.options.failed_only;
                self.scrolled = 0;
            }
            Key::Char('/') => self.is_typing = true,
            Key::Char('?' | 'h') => self.shows_help = !self.shows_help,
            Key::Escape if self.shows_help => self.shows_help = false,
            Key::Escape => self.filter.clear(),
            Key::Up | Key::Char('k') => self.scroll(-1),
            Key::Down | Key::Char('j') => self.scroll(1),
            Key::PageUp => self.scroll(-PAGE.cast_signed()),
            Key::PageDown => self.scroll(PAGE.cast_signed()),
            Key::Home | Key::Char('g') => self.scrolled = 0,
            _ => {}
        }
        Flow::GoOn
    }

    fn type_filter(&mut self, key: Key) {
        self.scrolled = 0;
        match key {
            Key::Enter => self.is_typing = false,
            Key::Escape => {
                self.is_typing = false;
                self.filter.clear();
            }
            Key::Backspace => _ = self.filter.pop(),
            Key::Char(char) if self.filter.len() < LONGEST_FILTER && !char.is_control() => {
                self.filter.push(char);
            }
            _ => {}
        }
    }

    fn pause(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(self.counted.clone()),
        };
    }

    fn scroll(&mut self, lines: isize) {
        let last = self.deaths().count().saturating_sub(1);
        self.scrolled = self.scrolled.saturating_add_signed(lines).min(last);
    }

    pub(super) fn shown(&self) -> &Tally {
        self.frozen.as_ref().unwrap_or(&self.counted)
    }

    /// The deaths that are asked for, the latest first.
    pub(super) fn deaths(&self) -> impl Iterator<Item = &Arc<Death>> {
        self.shown().deaths.iter().filter(|death| {
            (death.is_failure || !self.options.failed_only)
                && (self.admits(&death.comm) || self.admits(&death.place.label))
        })
    }

    /// The places that are asked for, in the order that is asked for.
    pub(super) fn places(&self) -> Vec<(&Place, &OfPlace)> {
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
