//! Lines of cells in columns.

use std::fmt::Write;

use anstyle::Style;

use super::text::{fit, fit_end, width};

/// Where a cell stands in its column, and what happens to a cell that is too wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// At the left. A cell that is too wide narrows the next columns.
    Left,
    /// At the right. A cell that is too wide narrows the next columns.
    Right,
    /// At the left, cut at its end.
    Cut,
    /// At the left, cut at its beginning, because the end of a path is most specific.
    CutBeginning,
}

/// A text in a column.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// The width of the column.
    pub(crate) width: usize,
    pub(crate) side: Side,
    /// The colour of the text. The blanks around it have none.
    pub(crate) style: Style,
}

impl Cell {
    /// A cell without a colour.
    pub(crate) const fn plain(text: String, width: usize, side: Side) -> Self {
        let style = Style::new();
        Self {
            text,
            width,
            side,
            style,
        }
    }
}

/// A part of a line: blanks, and a text behind them.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) blanks: usize,
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// Formats a line from its cells.
pub(crate) fn line(cells: impl Iterator<Item = Cell>) -> String {
    let mut line = String::new();
    for piece in pieces(cells) {
        let Piece {
            blanks,
            text,
            style,
        } = piece;
        line.extend(std::iter::repeat_n(' ', blanks));
        // A String takes everything.
        let _infallible = write!(line, "{style}{text}{style:#}");
    }
    line
}

/// Fits cells into their columns.
pub(crate) fn pieces(cells: impl Iterator<Item = Cell>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut blanks = 0;
    // The width by which the previous cells exceed their columns.
    let mut excess = 0_usize;
    for cell in cells {
        let (column, side, style) = (cell.width, cell.side, cell.style);
        let room = column.saturating_sub(excess);
        let text = match side {
            Side::Left | Side::Right => cell.text,
            // At least half of the column is used, however large the excess.
            Side::Cut => fit(&cell.text, room.max(column / 2)),
            Side::CutBeginning => fit_end(&cell.text, room.max(1)),
        };
        let padding = room.saturating_sub(width(&text));
        excess = (excess + width(&text) + padding).saturating_sub(column);
        let (before, after) = if side == Side::Right {
            (padding, 0)
        } else {
            (0, padding)
        };
        pieces.push(Piece {
            blanks: blanks + before,
            text,
            style,
        });
        blanks = after.saturating_add(1);
    }
    pieces
}
