//! The state of the screen: the counts, and the options for showing them.

use std::{cmp::Reverse, sync::Arc};

use probe_user::unstable::clock::boottime_ns;

use super::{
    Event, ExitRow, Place, ProcessRow,
    order::{self, Order, Sort},
    tally::{PlaceCounts, Tally},
};

/// The initial options of a screen.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of the source of events.
    pub backend: &'static str,
    /// The order of the places.
    pub sort: Sort,
    /// Whether only processes are shown that did not end by `exit(0)`.
    pub failed_only: bool,
    /// Whether colours are used.
    pub colour: bool,
    /// The name of the column of times, with their zone.
    pub time_header: String,
}

/// The state of the screen.
#[derive(Debug)]
pub struct Model {
    counted: Tally,
    /// The counts on a paused screen.
    frozen: Option<Tally>,
    pub(super) options: Options,
    /// The columns by which the tables are sorted.
    pub(super) place_order: Order,
    pub(super) process_order: Order,
    pub(super) exit_order: Order,
    /// A text that a name or place must contain to be shown.
    pub(super) filter: String,
    pub(super) is_typing: bool,
    pub(super) shows_help: bool,
    /// Whether the keys move in the exits, and not in the table above them.
    pub(super) is_in_exits: bool,
    /// The selected place; `None` for the first one.
    selected: Option<Place>,
    /// The place of which the processes are shown.
    pub(super) opened: Option<Place>,
    /// Number of processes, and of exits, above the first that is shown.
    pub(super) processes_scrolled: usize,
    pub(super) exits_scrolled: usize,
}

impl Model {
    /// Creates a model without counts.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            counted: Tally::default(),
            frozen: None,
            place_order: Order::of(options.sort),
            process_order: Order::first(order::PROCESSES),
            exit_order: Order::first(order::EXITS),
            options,
            filter: String::new(),
            is_typing: false,
            shows_help: false,
            is_in_exits: false,
            selected: None,
            opened: None,
            processes_scrolled: 0,
            exits_scrolled: 0,
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

    pub(super) fn pause(&mut self) {
        let is_paused = self.frozen.take().is_some();
        self.frozen = (!is_paused).then(|| self.counted.clone());
    }

    /// Moves in the table of the keys.
    pub(super) fn move_by(&mut self, lines: isize) {
        if self.is_in_exits {
            let last = self.exits().len().saturating_sub(1);
            self.exits_scrolled = moved(self.exits_scrolled, lines, last);
        } else if self.opened.is_some() {
            let last = self.processes().len().saturating_sub(1);
            self.processes_scrolled = moved(self.processes_scrolled, lines, last);
        } else {
            let places = self.places();
            let last = places.len().saturating_sub(1);
            let at = moved(self.position_in(&places), lines, last);
            let selected = places.get(at).map(|(place, _)| (*place).clone());
            self.selected = selected;
        }
    }

    /// Shows the processes and the exits of the selected place.
    pub(super) fn open(&mut self) {
        if self.opened.is_none() {
            let places = self.places();
            let at = self.position_in(&places);
            self.opened = places.get(at).map(|(place, _)| (*place).clone());
            self.start_lists();
        }
    }

    pub(super) fn close(&mut self) {
        self.opened = None;
        self.start_lists();
    }

    /// Shows the beginnings of the lists.
    pub(super) fn start_lists(&mut self) {
        self.is_in_exits = false;
        self.processes_scrolled = 0;
        self.exits_scrolled = 0;
    }

    /// The order of the table of the keys.
    pub(super) const fn order(&mut self) -> &mut Order {
        match (self.is_in_exits, self.opened.is_some()) {
            (true, _) => &mut self.exit_order,
            (false, true) => &mut self.process_order,
            (false, false) => &mut self.place_order,
        }
    }

    pub(super) fn shown(&self) -> &Tally {
        self.frozen.as_ref().unwrap_or(&self.counted)
    }

    /// The exits that pass the filters, the latest first, or in the order of a column.
    pub(super) fn exits(&self) -> Vec<&Arc<ExitRow>> {
        let is_shown = |exit: &&Arc<ExitRow>| {
            (exit.is_failure || !self.options.failed_only)
                && self.opened.as_ref().is_none_or(|it| *it == exit.place)
                && (self.admits(&exit.comm) || self.admits(&exit.place.label))
        };
        let mut exits: Vec<_> = self.shown().exits.iter().filter(is_shown).collect();
        match self.exit_order.column() {
            "PID" => exits.sort_by_key(|exit| exit.pid),
            "COMM" => exits.sort_by(|a, b| a.comm.cmp(&b.comm)),
            "AGE" => exits.sort_by_key(|exit| Reverse(exit.age_ns)),
            "STATUS" => exits.sort_by(|a, b| a.status.cmp(&b.status)),
            "KILLED-BY" => exits.sort_by(|a, b| a.killed_by.cmp(&b.killed_by)),
            "WHERE" => exits.sort_by(|a, b| a.place.cmp(&b.place)),
            // They are counted in the order of their time.
            _ => {}
        }
        self.exit_order.turned(exits)
    }

    /// The exits since the last call of [`Self::begin_new_exits`] that pass the filters, the oldest
    /// first.
    pub(super) fn new_exits(&self) -> Vec<&Arc<ExitRow>> {
        let exits = self.counted.exits.iter().take(self.counted.new_exits);
        let is_shown = |exit: &&Arc<ExitRow>| exit.is_failure || !self.options.failed_only;
        let mut exits: Vec<_> = exits.filter(is_shown).collect();
        exits.reverse();
        exits
    }

    pub(super) fn begin_new_exits(&mut self) {
        self.counted.new_exits = 0;
    }

    /// The places that pass the filters, in the selected order.
    pub(super) fn places(&self) -> Vec<(&Place, &PlaceCounts)> {
        let is_shown = |(place, of): &(&Place, &PlaceCounts)| {
            self.admits(&place.label) && (of.failures > 0 || !self.options.failed_only)
        };
        let mut places: Vec<_> = self.shown().places.iter().filter(is_shown).collect();
        let column = self.place_order.column();
        places.sort_by_cached_key(|&(place, of)| {
            let (first, second) = match column {
                "EXITS/S" => (of.tenths_per_second(), of.live()),
                "LIVE" => (of.live(), of.tenths_per_second()),
                "EXITS" => (of.exits, of.live()),
                "FAILED" => (of.failures, of.tenths_per_second()),
                _ => (0, 0),
            };
            (Reverse((first, second)), place.clone())
        });
        self.place_order.turned(places)
    }

    /// The processes of the opened place that pass the filter, in the selected order.
    pub(super) fn processes(&self) -> Vec<&ProcessRow> {
        let places = &self.shown().places;
        let of = self.opened.as_ref().and_then(|place| places.get(place));
        let processes = of.into_iter().flat_map(|of| of.processes.iter());
        let mut processes: Vec<_> = processes.filter(|it| self.admits(&it.comm)).collect();
        match self.process_order.column() {
            "PPID" => processes.sort_by_key(|it| it.ppid),
            "UID" => processes.sort_by_key(|it| it.uid),
            // The oldest first.
            "AGE" => processes.sort_by_key(|it| it.start_ns),
            "STATE" => processes.sort_by_key(|it| !it.is_exiting),
            "COMM" => processes.sort_by(|a, b| a.comm.cmp(&b.comm)),
            _ => processes.sort_by_key(|it| it.pid),
        }
        self.process_order.turned(processes)
    }

    /// The index of the selected place, or the first one if it has disappeared.
    pub(super) fn position_in(&self, places: &[(&Place, &PlaceCounts)]) -> usize {
        let is_it = |(place, _): &(&Place, _)| self.selected.as_ref() == Some(*place);
        places.iter().position(is_it).unwrap_or(0)
    }

    /// The age of a process now.
    pub(super) fn age_ns(process: &ProcessRow) -> u64 {
        boottime_ns().saturating_sub(process.start_ns)
    }

    fn admits(&self, text: &str) -> bool {
        text.contains(&self.filter)
    }
}

fn moved(from: usize, lines: isize, last: usize) -> usize {
    from.saturating_add_signed(lines).min(last)
}
