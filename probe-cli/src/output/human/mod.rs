//! Prints records in aligned columns: TIME PID PPID UID COMM AGE STATUS KILLED-BY WHERE.
//! With `--threads` there is TID, and COMM and AGE are those of the task. With `--starts` there
//! is ARGS.
//!
//! The columns and their widths depend on the terminal: see `layout.rs`. A cell that is wider
//! than its column narrows the next cells, so that one long number does not shift a whole line.
//! With colours, the status of a failure is red and what killed a process is yellow.

mod cells;
mod layout;
mod listing;
mod local_time;
mod table;
mod text;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use probe_daemon::api::json::age_ns;
use probe_user::{
    model::{Exit, ExitStatus, LossReason, Placed, Process, Record, Start},
    unstable::clock::WallClock,
};

use self::{
    cells::unknown,
    layout::{Contents, Name},
};

pub(crate) use cells::{age, container_name, killed_by, pid, short_id, status};
pub(crate) use listing::{Screen, check_columns, survivors, write_containers, write_processes};
pub(crate) use local_time::{LocalTime, is_utc, use_utc};
pub(crate) use table::{Cell, Side, line, pieces};
pub(crate) use text::{fit, printable};

/// The status of a process that did not end by `exit(0)`.
pub(crate) const FAILED: Style = AnsiColor::Red.on_default();
/// What killed a process.
pub(crate) const KILLER: Style = AnsiColor::Yellow.on_default();
/// The word for a start.
const STARTED: Style = AnsiColor::Cyan.on_default();
const PLAIN: Style = Style::new();

/// The columns of a table of records.
#[derive(Clone, Debug)]
pub struct Columns {
    terminal: Option<usize>,
    contents: Contents,
    /// The columns and their widths.
    layout: Vec<(Name, usize)>,
    /// The columns that the user chose.
    chosen: Vec<Name>,
    colour: bool,
    time: LocalTime,
}

/// A table has no column with this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no column '{name}'")]
pub(crate) struct UnknownColumn {
    name: String,
    /// The names of the columns there are.
    pub(crate) known: String,
}

/// The positions of the columns with these names. Upper and lower case are the same.
fn indices(names: &[String], known: &[&str]) -> Result<Vec<usize>, UnknownColumn> {
    let index = |name: &String| {
        let found = known.iter().position(|it| it.eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownColumn {
            name: printable(name),
            known: known.join(","),
        })
    };
    names.iter().map(index).collect()
}

impl Columns {
    /// Columns for a terminal of this width, or for a file or a pipe. Times are in the zone of
    /// the system.
    #[must_use]
    pub fn new(width: Option<usize>, colour: bool) -> Self {
        let columns = Self {
            terminal: width,
            contents: Contents::default(),
            layout: Vec::new(),
            chosen: Vec::new(),
            colour,
            time: LocalTime::system(),
        };
        columns.laid_out()
    }

    /// Columns with times in this zone.
    #[must_use]
    pub fn in_zone(mut self, zone: TimeZone) -> Self {
        self.time = LocalTime::new(zone);
        self.laid_out()
    }

    /// Columns for lines about tasks, if `of_tasks` is true.
    #[must_use]
    pub(crate) fn of_tasks(mut self, of_tasks: bool) -> Self {
        self.contents.tasks = of_tasks;
        self.laid_out()
    }

    /// Columns for lines about starts too, if `with_starts` is true.
    #[must_use]
    pub(crate) fn with_starts(mut self, with_starts: bool) -> Self {
        self.contents.starts = with_starts;
        self.laid_out()
    }

    /// Only these columns, by the names of their headers; the usual ones if there are no names.
    pub(crate) fn chosen(mut self, names: &[String]) -> Result<Self, UnknownColumn> {
        let known = layout::ALL.map(Name::as_str);
        let indices = indices(names, &known)?;
        self.chosen = indices.into_iter().map(|it| layout::ALL[it]).collect();
        Ok(self.laid_out())
    }

    fn laid_out(mut self) -> Self {
        if !self.chosen.is_empty() {
            let header = self.time.header();
            self.layout = layout::chosen(&self.chosen, self.terminal, &header);
            return self;
        }
        self.layout = layout::columns(self.terminal, self.contents, &self.time.header());
        self
    }

    /// Writes the names of the columns.
    pub(crate) fn write_header(&self, out: &mut Vec<u8>) -> io::Result<()> {
        self.write_cells(out, |name| {
            let text = match name {
                Name::Time => self.time.header(),
                name => name.as_str().to_owned(),
            };
            (text, PLAIN)
        })
    }

    /// Writes a record without a line end.
    pub fn write_record(
        &self,
        out: &mut Vec<u8>,
        record: &Record,
        clock: &WallClock,
    ) -> io::Result<()> {
        match record {
            Record::Exit(exit) => self.write_cells(out, |name| self.exit_cell(name, exit, clock)),
            Record::Start(start) => {
                self.write_cells(out, |name| self.start_cell(name, start, clock))
            }
            Record::Lost { count, reason } => write_loss(out, *count, *reason),
        }
    }

    fn exit_cell(&self, name: Name, exit: &Placed<Exit>, clock: &WallClock) -> (String, Style) {
        let what = &exit.what;
        match name {
            Name::Comm if self.contents.tasks => (printable(&what.task.comm.to_str()), PLAIN),
            Name::Age => {
                let start = if self.contents.tasks {
                    what.task.start_boottime_ns
                } else {
                    what.process.start_boottime_ns
                };
                let age = age_ns(start, exit.boottime_ns).map_or_else(unknown, age);
                (age, PLAIN)
            }
            Name::Status => {
                let failed = what.status.is_some_and(ExitStatus::is_failure);
                let style = if failed { FAILED } else { PLAIN };
                (status(what, layout::is_narrow(self.terminal)), style)
            }
            Name::KilledBy => match &what.killed_by {
                Some(killer) => (killed_by(killer), KILLER),
                None if what.killer_forgotten => ("forgotten".to_owned(), KILLER),
                None => (unknown(), PLAIN),
            },
            name => (self.cell(name, exit, &what.process, clock), PLAIN),
        }
    }

    fn start_cell(&self, name: Name, start: &Placed<Start>, clock: &WallClock) -> (String, Style) {
        let exec = start.what.exec.as_ref();
        match name {
            Name::Status => {
                let word = if exec.is_some() { "exec" } else { "fork" };
                (word.to_owned(), STARTED)
            }
            Name::Args => (exec.map_or_else(unknown, cells::args), PLAIN),
            name => (self.cell(name, start, &start.what.process, clock), PLAIN),
        }
    }

    /// The cells that exits and starts have in common.
    fn cell<T>(
        &self,
        name: Name,
        placed: &Placed<T>,
        process: &Process,
        clock: &WallClock,
    ) -> String {
        let number = |value: Option<u32>| value.map_or_else(unknown, |value| value.to_string());
        match name {
            Name::Time => {
                let is_narrow = layout::is_narrow(self.terminal);
                self.time
                    .format(clock.unix_ns(placed.boottime_ns), !is_narrow)
            }
            Name::Pid => pid(process.tgid),
            Name::Tid => pid(process.tid),
            Name::Ppid => number(process.ppid),
            Name::Uid => number(process.uid),
            Name::Comm => printable(&process.comm.to_str()),
            Name::Where => cells::place(placed),
            Name::Age | Name::Status | Name::KilledBy | Name::Args => unknown(),
        }
    }

    fn write_cells(
        &self,
        out: &mut Vec<u8>,
        cell: impl Fn(Name) -> (String, Style),
    ) -> io::Result<()> {
        let cells = self.layout.iter().map(|&(name, width)| {
            let (text, style) = cell(name);
            Cell {
                text,
                width,
                side: self.side(name),
                style: if self.colour { style } else { PLAIN },
            }
        });
        write!(out, "{}", line(cells))
    }

    /// Cells for a file or a pipe are not cut.
    const fn side(&self, name: Name) -> Side {
        let cuts = self.terminal.is_some();
        match name {
            Name::Pid | Name::Tid | Name::Ppid | Name::Uid | Name::Age => Side::Right,
            Name::Comm | Name::Status | Name::KilledBy | Name::Args if cuts => Side::Cut,
            Name::Where if cuts => Side::CutBeginning,
            _ => Side::Left,
        }
    }
}

fn write_loss(out: &mut Vec<u8>, count: Option<u64>, reason: LossReason) -> io::Result<()> {
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

#[cfg(test)]
mod tests;
