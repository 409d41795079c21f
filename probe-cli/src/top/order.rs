//! The order of the rows of a table: any of its columns.

use clap::ValueEnum;

/// The columns of the places, in the order of the key `s`.
pub(super) const PLACES: &[&str] = &["EXITS/S", "LIVE", "EXITS", "FAILED", "WHERE"];
/// The columns of the processes of a place.
pub(super) const PROCESSES: &[&str] = &["PID", "PPID", "UID", "AGE", "STATE", "COMM"];
/// The columns of the exits.
pub(super) const EXITS: &[&str] = &["TIME", "PID", "COMM", "AGE", "STATUS", "KILLED-BY", "WHERE"];

/// The order of the places. `--help` shows the comments of the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// most exits per second first
    #[default]
    Exits,
    /// most live processes first
    Live,
    /// most exits since the start of probe top first
    Total,
    /// most failures first
    Failures,
    /// alphabetical
    Name,
}

impl Sort {
    const fn column(self) -> &'static str {
        match self {
            Self::Exits => "EXITS/S",
            Self::Live => "LIVE",
            Self::Total => "EXITS",
            Self::Failures => "FAILED",
            Self::Name => "WHERE",
        }
    }
}

/// A column to sort by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    columns: &'static [&'static str],
    at: usize,
    pub(super) is_reversed: bool,
}

impl Order {
    /// The first of these columns.
    pub(super) const fn first(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            at: 0,
            is_reversed: false,
        }
    }

    pub(super) fn of(sort: Sort) -> Self {
        let at = PLACES.iter().position(|it| *it == sort.column());
        Self {
            at: at.unwrap_or(0),
            ..Self::first(PLACES)
        }
    }

    pub(super) fn column(&self) -> &'static str {
        self.columns[self.at]
    }

    /// Sorts by the next column, or by the previous one.
    pub(super) fn next(&mut self, backward: bool) {
        let count = self.columns.len();
        let step = if backward { count - 1 } else { 1 };
        self.at = (self.at + step) % count;
        self.is_reversed = false;
    }

    /// The mark behind the name of the column.
    pub(super) const fn mark(&self) -> char {
        if self.is_reversed { '▴' } else { '▾' }
    }

    /// Turns rows around if the order is reversed.
    pub(super) fn turned<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if self.is_reversed {
            rows.reverse();
        }
        rows
    }
}
