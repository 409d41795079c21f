//! Prints records in aligned columns: TIME PID PPID UID COMM AGE STATUS KILLED-BY
//! CONTAINER-OR-CGROUP.
//!
//! The widths depend on the terminal: the last two columns share the width that the others
//! leave. A cell that is wider than its column narrows the next cells, so that one long number
//! does not shift a whole line. With colours, a failure is red.

mod cells;
mod listing;
mod text;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use probe_daemon::api::json::age_ns;
use probe_user::{
    model::{Exit, ExitStatus, LossReason, Placed, Process, Record, Start},
    unstable::clock::WallClock,
};

use self::{
    cells::{Cells, unknown},
    text::width,
};

pub(crate) use cells::age;
pub(crate) use cells::{container_name, killed_by, status};
pub(crate) use listing::{write_containers, write_processes};
pub(crate) use text::{fit, fit_end, printable};

const FAILED: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// The width of each column, in columns of the terminal.
#[derive(Clone, Debug)]
pub struct Columns {
    time: usize,
    pid: usize,
    uid: usize,
    comm: usize,
    age: usize,
    status: usize,
    killed_by: usize,
    place: usize,
    /// Whether cells are cut. Cells for a file or a pipe are not.
    cuts: bool,
    colour: bool,
    zone: TimeZone,
}

/// A terminal of this width has room for milliseconds and whole words.
const WIDE: usize = 120;

impl Columns {
    /// Columns for a terminal of this width, or for a file or a pipe.
    #[must_use]
    pub fn new(width: Option<usize>, colour: bool) -> Self {
        let is_narrow = width.is_some_and(|width| width < WIDE);
        let choose = |narrow, wide| if is_narrow { narrow } else { wide };
        let columns = Self {
            time: choose(8, 12),
            pid: choose(6, 7),
            uid: choose(5, 6),
            comm: choose(10, 15),
            age: 6,
            status: choose(9, 14),
            killed_by: 28,
            place: usize::MAX,
            cuts: width.is_some(),
            colour,
            zone: TimeZone::system(),
        };
        match width {
            None => columns,
            Some(width) => columns.share(width),
        }
    }

    /// Divides the remaining width between the last two columns. The name of a killer needs at
    /// most 36 columns; a path has no limit.
    fn share(self, width: usize) -> Self {
        let others = self.time + 2 * self.pid + self.uid + self.comm + self.age + self.status;
        let separators = 8;
        let rest = width.saturating_sub(others + separators).max(12);
        let killed_by = if self.is_narrow() {
            rest / 2
        } else {
            (rest / 3).min(36)
        };
        Self {
            killed_by,
            place: rest - killed_by,
            ..self
        }
    }

    const fn is_narrow(&self) -> bool {
        self.time == 8
    }

    /// Writes the names of the columns.
    pub(crate) fn write_header(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let cells = Cells {
            time: "TIME".to_owned(),
            pid: "PID".to_owned(),
            ppid: "PPID".to_owned(),
            uid: "UID".to_owned(),
            comm: "COMM".to_owned(),
            age: "AGE".to_owned(),
            status: "STATUS".to_owned(),
            killed_by: "KILLED-BY".to_owned(),
            place: fit("CONTAINER-OR-CGROUP", self.place),
        };
        self.write_cells(out, &cells, None)
    }

    /// Writes a record without a line end.
    pub fn write_record(
        &self,
        out: &mut Vec<u8>,
        record: &Record,
        clock: &WallClock,
    ) -> io::Result<()> {
        match record {
            Record::Exit(exit) => {
                let failed = exit.what.status.is_some_and(ExitStatus::is_failure);
                let style = failed.then_some(FAILED);
                self.write_cells(out, &self.exit_cells(exit, clock), style)
            }
            Record::Start(start) => {
                self.write_cells(out, &self.start_cells(start, clock), Some(DIM))
            }
            Record::Lost { count, reason } => {
                let why = match reason {
                    LossReason::RingFull => "the ring buffer was full; use a larger --buffer",
                    LossReason::Skipped => "the kernel skipped a BPF program",
                    LossReason::SlowReader => "the reader was too slow",
                };
                write!(out, "... {count} events lost here: {why}")
            }
        }
    }

    fn exit_cells(&self, exit: &Placed<Exit>, clock: &WallClock) -> Cells {
        let process = &exit.what.process;
        let killer = exit.what.killed_by.as_ref();
        let killed_by = killer.map_or_else(unknown, killed_by);
        Cells {
            status: status(&exit.what, self.is_narrow()),
            age: age_ns(exit.boottime_ns, process).map_or_else(unknown, age),
            killed_by: self.cut(&killed_by, self.killed_by),
            ..self.common_cells(exit, process, clock)
        }
    }

    /// The arguments take what the place leaves them.
    fn start_cells(&self, start: &Placed<Start>, clock: &WallClock) -> Cells {
        let common = self.common_cells(start, &start.what.process, clock);
        let Some(exec) = &start.what.exec else {
            return Cells {
                status: "fork".to_owned(),
                ..common
            };
        };
        let left = self.place.saturating_sub(width(&common.place));
        let room = self.killed_by.saturating_add(left);
        Cells {
            status: "exec".to_owned(),
            killed_by: self.cut(&cells::args(exec), room),
            ..common
        }
    }

    fn common_cells<T>(&self, placed: &Placed<T>, process: &Process, clock: &WallClock) -> Cells {
        let number = |value: Option<u32>| value.map_or_else(unknown, |value| value.to_string());
        Cells {
            time: self.time_of_day(clock.unix_ns(placed.boottime_ns)),
            pid: process.tgid.to_string(),
            ppid: number(process.ppid),
            uid: number(process.uid),
            comm: printable(&process.comm.to_str()),
            age: unknown(),
            status: unknown(),
            killed_by: unknown(),
            place: cells::place(placed),
        }
    }

    fn time_of_day(&self, unix_ns: i128) -> String {
        let time = Timestamp::from_nanosecond(unix_ns)
            .unwrap_or(Timestamp::MAX)
            .to_zoned(self.zone.clone());
        let format = if self.is_narrow() {
            "%H:%M:%S"
        } else {
            "%H:%M:%S%.3f"
        };
        time.strftime(format).to_string()
    }

    fn cut(&self, text: &str, limit: usize) -> String {
        if self.cuts {
            fit(text, limit)
        } else {
            text.to_owned()
        }
    }

    fn write_cells(
        &self,
        out: &mut Vec<u8>,
        cells: &Cells,
        style: Option<Style>,
    ) -> io::Result<()> {
        let style = style.filter(|_| self.colour).unwrap_or_default();
        write!(out, "{style}")?;
        let mut line = Line::new(out, self.cuts);
        line.left(&cells.time, self.time)?;
        line.right(&cells.pid, self.pid)?;
        line.right(&cells.ppid, self.pid)?;
        line.right(&cells.uid, self.uid)?;
        line.left_cut(&cells.comm, self.comm)?;
        line.right(&cells.age, self.age)?;
        line.left_cut(&cells.status, self.status)?;
        line.left(&cells.killed_by, self.killed_by)?;
        line.last(&cells.place, self.place)?;
        write!(out, "{style:#}")
    }
}

/// Writes the cells of a line.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    cuts: bool,
    /// The width by which the previous cells exceed their columns.
    excess: usize,
}

impl<'a> Line<'a> {
    const fn new(out: &'a mut Vec<u8>, cuts: bool) -> Self {
        Self {
            out,
            cuts,
            excess: 0,
        }
    }

    fn left(&mut self, text: &str, column: usize) -> io::Result<()> {
        let padding = self.padding(width(text), column);
        write!(self.out, "{text}{:padding$} ", "")
    }

    fn right(&mut self, text: &str, column: usize) -> io::Result<()> {
        let padding = self.padding(width(text), column);
        write!(self.out, "{:padding$}{text} ", "")
    }

    /// At least half of the column is used, however large the excess.
    fn left_cut(&mut self, text: &str, column: usize) -> io::Result<()> {
        let room = column.saturating_sub(self.excess).max(column / 2);
        if self.cuts {
            self.left(&fit(text, room), column)
        } else {
            self.left(text, column)
        }
    }

    fn last(&mut self, text: &str, column: usize) -> io::Result<()> {
        let room = column.saturating_sub(self.excess).max(1);
        write!(self.out, "{}", fit_end(text, room))
    }

    /// Returns the padding of a cell, reduced by the excess of the previous cells.
    fn padding(&mut self, width: usize, column: usize) -> usize {
        let room = column.saturating_sub(self.excess);
        let padding = room.saturating_sub(width);
        self.excess = (self.excess + width + padding).saturating_sub(column);
        padding
    }
}

#[cfg(test)]
mod tests;
