//! Lines of cells in columns.

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

/// Formats a line from its cells, the widths of their columns, and their sides.
pub(crate) fn line(cells: impl Iterator<Item = (String, usize, Side)>) -> String {
    let mut line = String::new();
    let mut blanks = 0;
    // The width by which the previous cells exceed their columns.
    let mut excess = 0_usize;
    for (text, column, side) in cells {
        let room = column.saturating_sub(excess);
        let text = match side {
            Side::Left | Side::Right => text,
            // At least half of the column is used, however large the excess.
            Side::Cut => fit(&text, room.max(column / 2)),
            Side::CutBeginning => fit_end(&text, room.max(1)),
        };
        let padding = room.saturating_sub(width(&text));
        excess = (excess + width(&text) + padding).saturating_sub(column);
        let (before, after) = if side == Side::Right {
            (padding, 0)
        } else {
            (0, padding)
        };
        line.extend(std::iter::repeat_n(' ', blanks + before));
        line.push_str(&text);
        blanks = after.saturating_add(1);
    }
    line
}
