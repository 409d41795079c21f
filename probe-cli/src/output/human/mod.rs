//! Prints records in aligned columns: TIME PID PPID UID COMM AGE STATUS KILLED-BY
//! CONTAINER-OR-CGROUP. With `--threads` TID takes the place of PPID, and COMM and AGE are those
//! of the task.
//!
//! The widths depend on the terminal: the last two columns share the width that the others
//! leave. A cell that is wider than its column narrows the next cells, so that one long number
//! does not shift a whole line. With colours, a failure is red.

mod cells;
mod listing;
mod table;
mod text;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use probe_daemon::api::json::age_ns;
use probe_user::{
    model::{Exit, ExitStatus, LossReason, Placed, Process, Record, Start},
    unstable::clock::WallClock,
};

use self::{cells::unknown, text::width};

pub(crate) use cells::{age, container_name, killed_by, pid, short_id, status};
pub(crate) use listing::{write_containers, write_processes};
pub(crate) use table::{Side, line};
pub(crate) use text::{fit, printable};

const FAILED: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

const NAMES: [&str; 9] = [
    "TIME",
    "PID",
    "PPID",
    "UID",
    "COMM",
    "AGE",
    "STATUS",
    "KILLED-BY",
    "CONTAINER-OR-CGROUP",
];
const PARENT: usize = 2;
const COMM: usize = 4;
const KILLED_BY: usize = 7;
const PLACE: usize = 8;

/// The width of each column, in columns of the terminal.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct Columns {
    widths: [usize; 9],
    is_narrow: bool,
    /// Whether lines are about tasks.
    of_tasks: bool,
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
        let mut widths = if is_narrow {
            [8, 6, 6, 5, 10, 6, 9, 0, 0]
        } else {
            [12, 7, 7, 6, 15, 6, 14, 28, usize::MAX]
        };
        if let Some(width) = width {
            let taken: usize = widths[..KILLED_BY].iter().map(|width| width + 1).sum();
            let rest = width.saturating_sub(taken + 1).max(12);
            // The name of a killer needs at most 36 columns; a path has no limit.
            widths[KILLED_BY] = if is_narrow {
                rest / 2
            } else {
                (rest / 3).min(36)
            };
            widths[PLACE] = rest - widths[KILLED_BY];
        }
        Self {
            widths,
            is_narrow,
            of_tasks: false,
            cuts: width.is_some(),
            colour,
            zone: TimeZone::system(),
        }
    }

    /// Columns for lines about tasks, if `of_tasks` is true.
    #[must_use]
    pub(crate) const fn of_tasks(mut self, of_tasks: bool) -> Self {
        self.of_tasks = of_tasks;
        self
    }

    /// Writes the names of the columns.
    pub(crate) fn write_header(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut names = NAMES.map(str::to_owned);
        if self.of_tasks {
            "TID".clone_into(&mut names[PARENT]);
        }
        names[PLACE] = fit(NAMES[PLACE], self.widths[PLACE]);
        self.write_cells(out, names, None)
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
                self.write_cells(out, self.exit_cells(exit, clock), style)
            }
            Record::Start(start) => {
                self.write_cells(out, self.start_cells(start, clock), Some(DIM))
            }
            Record::Lost { count, reason } => {
                let why = match reason {
                    LossReason::RingFull => "the ring buffer was full; use a larger --buffer",
                    LossReason::Skipped => "the kernel skipped a BPF program",
                    LossReason::SlowReader => "the reader was too slow",
                    LossReason::DaemonGone => "the daemon ended or did not answer",
                    LossReason::BpfGone => "the BPF programs ended",
                    LossReason::Other => "the daemon has a reason that this version lacks",
                };
                match count {
                    Some(count) => write!(out, "... {count} events lost here: {why}"),
                    None => write!(out, "... unknown number of events lost here: {why}"),
                }
            }
        }
    }

    fn exit_cells(&self, exit: &Placed<Exit>, clock: &WallClock) -> [String; 9] {
        let process = &exit.what.process;
        let killer = exit.what.killed_by.as_ref();
        let no_killer = || {
            if exit.what.killer_forgotten {
                "forgotten".to_owned()
            } else {
                unknown()
            }
        };
        let killed_by = killer.map_or_else(no_killer, killed_by);
        let task = &exit.what.task;
        let start = if self.of_tasks {
            task.start_boottime_ns
        } else {
            process.start_boottime_ns
        };
        let cells = [
            age_ns(start, exit.boottime_ns).map_or_else(unknown, age),
            status(&exit.what, self.is_narrow),
            self.cut(killed_by, self.widths[KILLED_BY]),
        ];
        let mut cells = self.cells(exit, process, clock, cells);
        if self.of_tasks {
            cells[COMM] = printable(&task.comm.to_str());
        }
        cells
    }

    /// The arguments take the width that the place leaves.
    fn start_cells(&self, start: &Placed<Start>, clock: &WallClock) -> [String; 9] {
        let (status, args) = match &start.what.exec {
            None => ("fork", unknown()),
            Some(exec) => {
                let left = self.widths[PLACE].saturating_sub(width(&cells::place(start)));
                let room = self.widths[KILLED_BY].saturating_add(left);
                ("exec", self.cut(cells::args(exec), room))
            }
        };
        let cells = [unknown(), status.to_owned(), args];
        self.cells(start, &start.what.process, clock, cells)
    }

    fn cells<T>(
        &self,
        placed: &Placed<T>,
        process: &Process,
        clock: &WallClock,
        [age, status, killed_by]: [String; 3],
    ) -> [String; 9] {
        let number = |value: Option<u32>| value.map_or_else(unknown, |value| value.to_string());
        [
            self.time_of_day(clock.unix_ns(placed.boottime_ns)),
            pid(process.tgid),
            if self.of_tasks {
                pid(process.tid)
            } else {
                number(process.ppid)
            },
            number(process.uid),
            printable(&process.comm.to_str()),
            age,
            status,
            killed_by,
            cells::place(placed),
        ]
    }

    fn time_of_day(&self, unix_ns: i128) -> String {
        let format = if self.is_narrow {
            "%H:%M:%S"
        } else {
            "%H:%M:%S%.3f"
        };
        time_of_day(unix_ns, &self.zone, format)
    }

    fn cut(&self, text: String, limit: usize) -> String {
        if self.cuts { fit(&text, limit) } else { text }
    }

    fn write_cells(
        &self,
        out: &mut Vec<u8>,
        cells: [String; 9],
        style: Option<Style>,
    ) -> io::Result<()> {
        use Side::{CutBeginning, Left, Right};
        let style = style.filter(|_| self.colour).unwrap_or_default();
        let name = if self.cuts { Side::Cut } else { Left };
        let sides = [
            Left,
            Right,
            Right,
            Right,
            name,
            Right,
            name,
            Left,
            CutBeginning,
        ];
        let cells = cells.into_iter().zip(self.widths).zip(sides);
        let line = line(cells.map(|((text, width), side)| (text, width, side)));
        write!(out, "{style}{line}{style:#}")
    }
}

/// Formats a time of day.
pub(crate) fn time_of_day(unix_ns: i128, zone: &TimeZone, format: &str) -> String {
    let time = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::MAX);
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests;
