//! Which columns a table of records has, and how wide each is.

use super::text::width;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Time,
    Pid,
    Tid,
    Ppid,
    Uid,
    Comm,
    Age,
    Status,
    KilledBy,
    Where,
    Args,
}

impl Name {
    /// The word in the header, but that of [`Name::Time`], which also names the zone.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "TIME",
            Self::Pid => "PID",
            Self::Tid => "TID",
            Self::Ppid => "PPID",
            Self::Uid => "UID",
            Self::Comm => "COMM",
            Self::Age => "AGE",
            Self::Status => "STATUS",
            Self::KilledBy => "KILLED-BY",
            Self::Where => "WHERE",
            Self::Args => "ARGS",
        }
    }
}

/// All columns, in their usual order.
pub(super) const ALL: [Name; 11] = [
    Name::Time,
    Name::Pid,
    Name::Tid,
    Name::Ppid,
    Name::Uid,
    Name::Comm,
    Name::Age,
    Name::Status,
    Name::KilledBy,
    Name::Where,
    Name::Args,
];

/// From this width on there is room for milliseconds, whole words and the uid.
const WIDE: usize = 120;
/// From this width on there is room for the pid of the parent.
const MEDIUM: usize = 100;

/// What a table shows apart from the columns that every table has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    /// Lines are about tasks, which have a TID.
    pub(super) tasks: bool,
    /// There are lines for starts, which have arguments.
    pub(super) starts: bool,
}

/// Whether a terminal has too little room for milliseconds and whole words.
pub(super) fn is_narrow(terminal: Option<usize>) -> bool {
    terminal.is_some_and(|width| width < WIDE)
}

/// Returns the columns and their widths. Below some widths of the terminal the uid and then the
/// pid of the parent are left out. The last columns share the width that the others leave;
/// without a terminal the last one has no limit.
pub(super) fn columns(
    terminal: Option<usize>,
    contents: Contents,
    time_header: &str,
) -> Vec<(Name, usize)> {
    let room = terminal.unwrap_or(usize::MAX);
    let (wide, medium) = (room >= WIDE, room >= MEDIUM);
    let of = |narrow, whole| if wide { whole } else { narrow };
    let pid = of(6, 7);
    let mut columns = vec![(Name::Time, of(8, 12).max(width(time_header)))];
    columns.push((Name::Pid, pid));
    if contents.tasks {
        columns.push((Name::Tid, pid));
    }
    if medium {
        columns.push((Name::Ppid, pid));
    }
    if wide {
        columns.push((Name::Uid, 6));
    }
    // With arguments the name is the least important of both.
    let comm = if contents.starts && !medium { 8 } else { 10 };
    columns.push((Name::Comm, of(comm, 15)));
    columns.push((Name::Age, 6));
    columns.push((Name::Status, of(9, 14)));
    let last: &[Name] = if contents.starts {
        &[Name::KilledBy, Name::Where, Name::Args]
    } else {
        &[Name::KilledBy, Name::Where]
    };
    let taken: usize = columns.iter().map(|(_, width)| width + 1).sum();
    let widths = match terminal {
        None => without_terminal(last.len()),
        Some(terminal) => shares(terminal.saturating_sub(taken + last.len() - 1), wide, last),
    };
    columns.extend(last.iter().copied().zip(widths));
    columns
}

/// Returns the columns that the user chose, with the widths of a wide terminal. The last one has
/// the rest of the line.
pub(super) fn chosen(
    names: &[Name],
    terminal: Option<usize>,
    time_header: &str,
) -> Vec<(Name, usize)> {
    let width_of = |name: &Name| match name {
        Name::Time => width(time_header).max(12),
        Name::Pid | Name::Tid | Name::Ppid => 7,
        Name::Uid | Name::Age => 6,
        Name::Comm => 15,
        Name::Status => 14,
        Name::KilledBy | Name::Where | Name::Args => 28,
    };
    let mut columns: Vec<_> = names.iter().map(|it| (*it, width_of(it))).collect();
    let taken: usize = columns
        .iter()
        .rev()
        .skip(1)
        .map(|(_, width)| width + 1)
        .sum();
    // A number stands at the right of its column, not of the line.
    let is_number = |name| {
        let numbers = [Name::Pid, Name::Tid, Name::Ppid, Name::Uid, Name::Age];
        numbers.contains(&name)
    };
    if let Some((name, last)) = columns.last_mut()
        && !is_number(*name)
    {
        *last = terminal.map_or(usize::MAX, |it| it.saturating_sub(taken).max(*last));
    }
    columns
}

fn without_terminal(columns: usize) -> Vec<usize> {
    let mut widths = vec![28; columns];
    widths[columns - 1] = usize::MAX;
    widths
}

/// Splits the width that is left. The name of a killer needs at most 36 columns; a path and
/// arguments have no limit.
fn shares(rest: usize, wide: bool, last: &[Name]) -> Vec<usize> {
    let rest = rest.max(6 * last.len());
    let killer = match (wide, last.len()) {
        (false, 2) => rest / 2,
        _ => (rest / 3).min(36),
    };
    if last.len() == 2 {
        return vec![killer, rest - killer];
    }
    let place = (rest - killer) / 2;
    vec![killer, place, rest - killer - place]
}
