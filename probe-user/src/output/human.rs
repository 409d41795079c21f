//! Records as aligned columns: TIME PID PPID UID COMM AGE STATUS KILLED-BY
//! CONTAINER-OR-CGROUP.
//!
//! The widths follow the terminal: the last two columns share what the others
//! leave. Nothing depends on colour; a failure is red where there is one.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};

use super::json::age_ns;
use crate::{
    container::Container,
    event::{Exit, Start},
    exit_status::ExitStatus,
    process::Process,
    record::{LossReason, Placed, Record},
    signal::{KilledBy, Via},
    source::clock::WallClock,
};

const FAILED: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// How wide each column is, in characters.
#[derive(Clone, Debug)]
pub struct Columns {
    time: usize,
    comm: usize,
    age: usize,
    status: usize,
    killed_by: usize,
    place: usize,
    colour: bool,
    zone: TimeZone,
}

impl Columns {
    /// Columns for a terminal of `width` characters; for no terminal nothing is
    /// cut off at the right.
    #[must_use]
    pub fn new(width: Option<usize>, colour: bool) -> Self {
        let columns = Self {
            time: 12,
            comm: 15,
            age: 7,
            status: 12,
            killed_by: 28,
            place: usize::MAX,
            colour,
            zone: TimeZone::system(),
        };
        match width {
            None => columns,
            Some(width) if width >= 120 => Self {
                place: width - 105,
                ..columns
            },
            Some(width) => columns.narrow(width),
        }
    }

    /// 80 columns: whole seconds, short names, and what is left in two halves.
    fn narrow(self, width: usize) -> Self {
        let rest = width.saturating_sub(57).max(12);
        Self {
            time: 8,
            comm: 10,
            age: 5,
            status: 9,
            killed_by: rest / 2,
            place: rest - rest / 2,
            ..self
        }
    }

    /// The names of the columns.
    pub fn write_header(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let cells = Cells {
            time: "TIME".to_owned(),
            pid: "PID".to_owned(),
            ppid: "PPID".to_owned(),
            uid: "UID".to_owned(),
            comm: "COMM".to_owned(),
            age: "AGE".to_owned(),
            status: "STATUS".to_owned(),
            killed_by: "KILLED-BY".to_owned(),
            place: "CONTAINER-OR-CGROUP".to_owned(),
        };
        self.write_cells(out, &cells, None)
    }

    /// Writes a record without the end of the line.
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
                    LossReason::RingFull => "the ring buffer was full; hint: --buffer",
                    LossReason::Skipped => "the kernel skipped the program",
                };
                write!(out, "... {count} events lost here: {why}")
            }
        }
    }

    fn exit_cells(&self, exit: &Placed<Exit>, clock: &WallClock) -> Cells {
        let process = &exit.what.process;
        Cells {
            status: status(&exit.what),
            age: age_ns(exit.boottime_ns, process).map_or_else(unknown, age),
            killed_by: exit.what.killed_by.as_ref().map_or_else(unknown, killed_by),
            ..self.common_cells(exit, process, clock)
        }
    }

    fn start_cells(&self, start: &Placed<Start>, clock: &WallClock) -> Cells {
        let process = &start.what.process;
        let (status, killed_by) = match &start.what.exec {
            None => ("fork".to_owned(), unknown()),
            Some(exec) => (
                "exec".to_owned(),
                exec.args
                    .as_ref()
                    .map_or_else(unknown, |args| args.join(" ")),
            ),
        };
        Cells {
            status,
            killed_by,
            ..self.common_cells(start, process, clock)
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
            place: place(placed),
        }
    }

    fn time_of_day(&self, unix_ns: i128) -> String {
        let time = Timestamp::from_nanosecond(unix_ns)
            .unwrap_or(Timestamp::MAX)
            .to_zoned(self.zone.clone());
        let format = if self.time >= 12 {
            "%H:%M:%S%.3f"
        } else {
            "%H:%M:%S"
        };
        time.strftime(format).to_string()
    }

    fn write_cells(
        &self,
        out: &mut Vec<u8>,
        cells: &Cells,
        style: Option<Style>,
    ) -> io::Result<()> {
        let style = style.filter(|_| self.colour).unwrap_or_default();
        write!(
            out,
            "{style}{:<time$} {:>7} {:>7} {:>5} {:<comm$} {:>age$} {:<status$} {:<killed_by$} {}{style:#}",
            fit(&cells.time, self.time),
            cells.pid,
            cells.ppid,
            cells.uid,
            fit(&cells.comm, self.comm),
            cells.age,
            fit(&cells.status, self.status),
            fit(&cells.killed_by, self.killed_by),
            fit_end(&cells.place, self.place),
            time = self.time,
            comm = self.comm,
            age = self.age,
            status = self.status,
            killed_by = self.killed_by,
        )
    }
}

struct Cells {
    time: String,
    pid: String,
    ppid: String,
    uid: String,
    comm: String,
    age: String,
    status: String,
    killed_by: String,
    place: String,
}

fn unknown() -> String {
    "-".to_owned()
}

/// Cuts at the right: the beginning of a name says most.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// Cuts at the left: the end of a path says most.
fn fit_end(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    ['…']
        .into_iter()
        .chain(text.chars().skip(length - width + 1))
        .collect()
}

/// A name may hold anything: nothing of it reaches the terminal as a command.
fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '?' } else { char })
        .collect()
}

/// Three figures at most: `1.2ms`, `34s`, `5m12s`, `3h4m`, `2d3h`.
#[must_use]
pub fn age(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0 if ns < 1_000_000 => format!("{}µs", ns / 1000),
        0 if ns < 10_000_000 => format!("{}.{}ms", ns / 1_000_000, ns / 100_000 % 10),
        0 => format!("{}ms", ns / 1_000_000),
        1..10 => format!("{}.{}s", seconds, ns / 100_000_000 % 10),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn status(exit: &Exit) -> String {
    let text = match exit.status {
        None => "?".to_owned(),
        Some(ExitStatus::Exited { code }) => code.to_string(),
        Some(ExitStatus::Signaled {
            signal,
            core_dumped,
        }) => format!(
            "{}{}",
            signal.name(),
            if core_dumped { "+core" } else { "" }
        ),
    };
    match (exit.group_dead, exit.leader) {
        (true, _) => text,
        (false, true) => format!("leader {text}"),
        (false, false) => format!("thread {text}"),
    }
}

fn killed_by(killed_by: &KilledBy) -> String {
    let why = killed_by
        .cause
        .map_or(killed_by.via.as_str(), crate::signal::Cause::as_str);
    match &killed_by.sender {
        None => why.to_owned(),
        Some(sender) => {
            let name = format!("{}[{}]", printable(&sender.comm), sender.tgid);
            match killed_by.via {
                Via::Kill => name,
                _ => format!("{name} {why}"),
            }
        }
    }
}

fn place<T>(placed: &Placed<T>) -> String {
    if let Some(container) = &placed.container {
        return container_name(container);
    }
    placed
        .cgroup
        .as_ref()
        .and_then(|cgroup| cgroup.path.as_deref())
        .map_or_else(unknown, printable)
}

/// Runtime and name, or the twelve figures that runtimes show of an id.
fn container_name(container: &Container) -> String {
    let runtime = container.runtime.as_str();
    if let Some(name) = &container.name {
        return format!("{runtime}:{}", printable(name));
    }
    let id = &container.id;
    let is_hash = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let short = if is_hash { &id[..12] } else { id.as_str() };
    format!("{runtime}:{}", printable(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_at_most_three_figures_of_a_unit() {
        assert_eq!(age(850_000), "850µs");
        assert_eq!(age(1_250_000), "1.2ms");
        assert_eq!(age(182_000_000), "182ms");
        assert_eq!(age(9_900_000_000), "9.9s");
        assert_eq!(age(312_000_000_000), "5m12s");
        assert_eq!(age(90_000_000_000_000), "1d1h");
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(fit_end("/system.slice/x.service", 10), "…x.service");
        assert_eq!(fit("firefox", 5), "fire…");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a?[31m?");
    }

    #[test]
    fn the_header_fits_80_columns() {
        let mut out = Vec::new();
        Columns::new(Some(80), false)
            .write_header(&mut out)
            .expect("a Vec takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.chars().count(), 80, "{text:?}");
    }
}
