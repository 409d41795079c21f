//! The columns of the tables, and their widths.

use crate::output::human::{
    self, Cell,
    Side::{self, Cut, CutBeginning, Right},
    fit,
};

/// The name of a column, which selects its contents, its width, and the side of its cells.
type Column = (&'static str, usize, Side);

/// Below this width the least important columns are left out.
const NARROW: usize = 60;
/// From this width on, cells have room for whole words.
const WIDE: usize = 120;

/// Returns the columns of the places.
pub(super) fn for_places(width: usize) -> Vec<Column> {
    let numbers: &[Column] = if width < NARROW {
        &[("LIVE", 6, Right), ("EXITS/S", 7, Right)]
    } else {
        &[
            ("LIVE", 7, Right),
            ("EXITS/S", 8, Right),
            ("EXITS", 8, Right),
            ("FAILED", 8, Right),
        ]
    };
    let place = ("WHERE", rest(width, numbers), CutBeginning);
    [&[place], numbers].concat()
}

/// Returns the columns of the exits. The last columns share the remaining width.
pub(super) fn for_exits(width: usize) -> Vec<Column> {
    let (comm, status) = if width < WIDE { (10, 9) } else { (15, 14) };
    let mut columns = vec![("TIME", 8, Cut)];
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
    columns
}

/// Returns the width that the columns leave, at least 4.
fn rest(width: usize, columns: &[Column]) -> usize {
    let taken: usize = columns.iter().map(|(_, width, _)| width + 1).sum();
    width.saturating_sub(taken).max(4)
}

/// Formats the names of the columns.
pub(super) fn header(columns: &[Column]) -> String {
    let names = columns
        .iter()
        .map(|&(name, width, side)| Cell::plain(fit(name, width), width, side));
    human::line(names)
}

/// Formats a line from the text of each column.
pub(super) fn line(columns: &[Column], cell: impl Fn(&str) -> String) -> String {
    human::line(
        columns
            .iter()
            .map(|&(name, width, side)| Cell::plain(cell(name), width, side)),
    )
}
