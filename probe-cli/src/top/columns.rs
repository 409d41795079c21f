//! The columns of the tables, and their widths.

use unicode_width::UnicodeWidthStr;

use crate::output::human::{fit, fit_end};

/// The side of the column at which a cell stands. A cell is cut at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    /// At the left, but cut at its beginning, because the end of a path is most specific.
    End,
}

/// One column. Its name selects its contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) width: usize,
    side: Side,
}

const fn column(name: &'static str, width: usize, side: Side) -> Column {
    Column { name, width, side }
}

/// Below this width the least important columns are left out.
const NARROW: usize = 60;
/// From this width on, cells have room for whole words.
const WIDE: usize = 120;
/// The least width of the last columns.
const LEAST: usize = 4;

/// Returns the columns of the places.
pub(super) fn for_places(width: usize) -> Vec<Column> {
    let numbers: &[(&'static str, usize)] = if width < NARROW {
        &[("LIVE", 6), ("EXITS/S", 7)]
    } else {
        &[("LIVE", 7), ("EXITS/S", 8), ("EXITS", 8), ("FAILED", 8)]
    };
    let taken: usize = numbers.iter().map(|(_, width)| width + 1).sum();
    let mut columns = vec![column(
        "CONTAINER-OR-CGROUP",
        width.saturating_sub(taken).max(LEAST),
        Side::End,
    )];
    columns.extend(
        numbers
            .iter()
            .map(|&(name, width)| column(name, width, Side::Right)),
    );
    columns
}

/// Returns the columns of the exits. The last columns share the remaining width.
pub(super) fn for_exits(width: usize) -> Vec<Column> {
    let mut columns = vec![column("TIME", 8, Side::Left)];
    if width < NARROW {
        columns.push(column("COMM", 10, Side::Left));
        columns.push(column("STATUS", 8, Side::Left));
    } else {
        let choose = |narrow, wide| if width < WIDE { narrow } else { wide };
        columns.push(column("PID", 7, Side::Right));
        columns.push(column("COMM", choose(10, 15), Side::Left));
        columns.push(column("AGE", 6, Side::Right));
        columns.push(column("STATUS", choose(9, 14), Side::Left));
    }
    let taken: usize = columns.iter().map(|column| column.width + 1).sum();
    let rest = width.saturating_sub(taken).max(LEAST);
    if width < NARROW {
        columns.push(column("KILLED-BY", rest, Side::Left));
    } else {
        let killed_by = (rest / 2).min(36);
        columns.push(column("KILLED-BY", killed_by, Side::Left));
        let place = rest - killed_by - 1;
        columns.push(column("CONTAINER-OR-CGROUP", place, Side::End));
    }
    columns
}

/// Formats the names of the columns.
pub(super) fn header(columns: &[Column]) -> String {
    line(columns, |column| fit(column.name, column.width))
}

/// Formats a line from the text of each column.
pub(super) fn line(columns: &[Column], cell: impl Fn(&Column) -> String) -> String {
    let cells = columns.iter().map(|column| {
        let text = cell(column);
        let text = match column.side {
            Side::End => fit_end(&text, column.width),
            Side::Left | Side::Right => fit(&text, column.width),
        };
        let padding = " ".repeat(column.width.saturating_sub(text.width()));
        match column.side {
            Side::Right => padding + &text,
            Side::Left | Side::End => text + &padding,
        }
    });
    cells.collect::<Vec<_>>().join(" ")
}
