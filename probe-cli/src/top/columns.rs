//! The columns of the tables, and their widths.

use super::{ExitRow, Model, Place, ProcessRow, order::Order, tally::PlaceCounts};
use crate::output::human::{
    self, Cell, FAILED, KILLER,
    Side::{self, Cut, CutBeginning, Right},
    fit, pid,
};
use anstyle::Style;

/// The name of a column, which selects its contents, its width, and the side of its cells.
type Column = (&'static str, usize, Side);

/// The columns of a table.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    has_colour: bool,
}

/// Below this width there is room for one number.
const TINY: usize = 30;
/// Below this width the least important columns are left out.
const NARROW: usize = 60;
/// From this width on, cells have room for whole words.
const WIDE: usize = 120;

const PLAIN: Style = Style::new();

impl Columns {
    /// The columns of the places.
    pub(super) fn of_places(width: usize, has_colour: bool) -> Self {
        let numbers: &[Column] = match width {
            0..TINY => &[("EXITS/S", 8, Right)],
            TINY..NARROW => &[("LIVE", 6, Right), ("EXITS/S", 8, Right)],
            _ => &[
                ("LIVE", 7, Right),
                ("EXITS/S", 8, Right),
                ("EXITS", 8, Right),
                ("FAILED", 8, Right),
            ],
        };
        let place = ("WHERE", rest(width, numbers), CutBeginning);
        Self {
            columns: [&[place], numbers].concat(),
            has_colour,
        }
    }

    /// The columns of the processes of a place.
    pub(super) fn of_processes(width: usize, has_colour: bool) -> Self {
        let mut columns = vec![("PID", 7, Right)];
        if width >= NARROW {
            columns.extend([("PPID", 7, Right), ("UID", 7, Right)]);
        }
        if width >= TINY {
            columns.extend([("AGE", 7, Right), ("STATE", 8, Cut)]);
        }
        columns.push(("COMM", rest(width, &columns), Cut));
        Self {
            columns,
            has_colour,
        }
    }

    /// The columns of the exits. The last columns share the remaining width. `time` is the name of
    /// the column of times, with their zone.
    pub(super) fn of_exits(width: usize, has_colour: bool) -> Self {
        if width < TINY {
            let comm = ("COMM", 9, Cut);
            return Self {
                columns: vec![comm, ("STATUS", rest(width, &[comm]), Cut)],
                has_colour,
            };
        }
        let (comm, status) = if width < WIDE { (10, 9) } else { (15, 14) };
        let mut columns = vec![("TIME", 10, Cut)];
        if width < NARROW {
            columns.extend([("COMM", 10, Cut), ("STATUS", 8, Cut)]);
        } else {
            columns.extend([("PID", 7, Right), ("COMM", comm, Cut)]);
            columns.extend([("AGE", 6, Right), ("STATUS", status, Cut)]);
        }
        let rest = rest(width, &columns);
        if width < NARROW {
            columns.push(("KILLED-BY", rest, Cut));
        } else {
            let killed_by = (rest / 2).min(36);
            columns.push(("KILLED-BY", killed_by, Cut));
            columns.push(("WHERE", rest - killed_by - 1, CutBeginning));
        }
        Self {
            columns,
            has_colour,
        }
    }

    /// The names of the columns. A mark is behind the one that decides on the order.
    pub(super) fn header(&self, order: &Order, time: &str) -> Vec<Cell> {
        let cells = self.columns.iter().map(|&(name, width, side)| {
            let mut text = if name == "TIME" { time } else { name }.to_owned();
            if name == order.column() {
                text = format!("{}{}", fit(&text, width.saturating_sub(1)), order.mark());
            }
            Cell::plain(fit(&text, width), width, side)
        });
        cells.collect()
    }

    /// The cells of a place.
    pub(super) fn place(&self, place: &Place, of: &PlaceCounts) -> Vec<Cell> {
        self.cells(|column| match column {
            "LIVE" => (of.live().to_string(), PLAIN),
            "EXITS/S" => {
                let tenths = of.tenths_per_second();
                (format!("{}.{}", tenths / 10, tenths % 10), PLAIN)
            }
            "EXITS" => (of.exits.to_string(), PLAIN),
            "FAILED" => (
                of.failures.to_string(),
                if of.failures > 0 { FAILED } else { PLAIN },
            ),
            _ => (place.label.to_string(), PLAIN),
        })
    }

    /// The cells of a process.
    pub(super) fn process(&self, process: &ProcessRow) -> Vec<Cell> {
        let state = if process.is_exiting { KILLER } else { PLAIN };
        self.cells(|column| match column {
            "PID" => (pid(process.pid), PLAIN),
            "PPID" => (process.ppid.to_string(), PLAIN),
            "UID" => (process.uid.to_string(), PLAIN),
            "AGE" => (human::age(Model::age_ns(process)), PLAIN),
            "STATE" => (process.state().to_owned(), state),
            _ => (process.comm.clone(), PLAIN),
        })
    }

    /// The cells of an exit.
    pub(super) fn exit(&self, exit: &ExitRow) -> Vec<Cell> {
        self.cells(|column| match column {
            "TIME" => (exit.time.clone(), PLAIN),
            "PID" => (pid(exit.pid), PLAIN),
            "COMM" => (exit.comm.clone(), PLAIN),
            "AGE" => (exit.age.clone(), PLAIN),
            "STATUS" => {
                let style = if exit.is_failure { FAILED } else { PLAIN };
                (exit.status.clone(), style)
            }
            "KILLED-BY" => {
                let style = if exit.killed_by == "-" { PLAIN } else { KILLER };
                (exit.killed_by.clone(), style)
            }
            _ => (exit.place.label.to_string(), PLAIN),
        })
    }

    fn cells(&self, cell: impl Fn(&str) -> (String, Style)) -> Vec<Cell> {
        let cells = self.columns.iter().map(|&(name, width, side)| {
            let (text, style) = cell(name);
            Cell {
                style: if self.has_colour { style } else { PLAIN },
                ..Cell::plain(text, width, side)
            }
        });
        cells.collect()
    }
}

/// Returns the width that the columns leave, at least 4.
fn rest(width: usize, columns: &[Column]) -> usize {
    let taken: usize = columns.iter().map(|(_, width, _)| width + 1).sum();
    width.saturating_sub(taken).max(4)
}
