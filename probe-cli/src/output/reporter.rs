//! Turns events into lines of output, for `trace`, `wait` and `kill`.

use std::io;

use probe_daemon::api::json;
use probe_user::{
    model::{CgroupId, Exit, ExitStatus, Filter, Record, Timed},
    unstable::{
        clock::{WallClock, tick_ns},
        trace::{lookup::CgroupLookup, tracker::Tracker},
    },
};

use super::{Out, Stdout, human::Columns};

/// The stages between an event and its line.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) tracker: Tracker,
    pub(crate) lookup: CgroupLookup,
    pub(crate) wanted: Filter,
    /// Columns for people, or `None` for JSON.
    pub(crate) columns: Option<Columns>,
    pub(crate) out: Out<Stdout>,
    pub(crate) clock: WallClock,
    pub(crate) reported: Reported,
    /// Pid and start time, in clock ticks, of the process with the requested status.
    pub(crate) status_of: Option<(u32, u64)>,
    pub(crate) status: Option<ExitStatus>,
}

/// Counts of records so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    /// Exits and starts that were received.
    pub(crate) seen: u64,
    /// Exits and starts that were printed.
    pub(crate) shown: u64,
    /// Exits and starts that are missing.
    pub(crate) lost: u64,
}

impl Reporter {
    pub(crate) fn new(
        wanted: Filter,
        columns: Option<Columns>,
        lookup: CgroupLookup,
        out: Out<Stdout>,
    ) -> Self {
        Self {
            tracker: Tracker::for_filter(&wanted),
            lookup,
            wanted,
            columns,
            out,
            clock: WallClock::now(),
            reported: Reported::default(),
            status_of: None,
            status: None,
        }
    }

    /// Prints the record of an event, if there is one and it passes the filter.
    pub(crate) fn report(&mut self, timed: Timed) -> io::Result<()> {
        let Some(record) = self.lookup.record(&mut self.tracker, timed) else {
            return Ok(());
        };
        match &record {
            Record::Exit(exit) => self.keep_status(&exit.what),
            Record::Start(_) => {}
            Record::Lost { .. } => return self.report_wanted(&record),
        }
        self.reported.seen += 1;
        self.report_wanted(&record)
    }

    /// Keeps the exit status if this is the requested process. A record counts nanoseconds,
    /// `/proc` counts clock ticks.
    fn keep_status(&mut self, exit: &Exit) {
        let start_ticks = exit.process.start_boottime_ns.map(|ns| ns / tick_ns());
        let is_requested = |(pid, start)| exit.process.tgid == pid && start_ticks == Some(start);
        if exit.group_dead && self.status_of.is_some_and(is_requested) {
            self.status = exit.status;
        }
    }

    /// Prints a record that a daemon has filtered, unless BPF programs of this command reported
    /// the same exit before.
    pub(crate) fn report_from_daemon(&mut self, record: &Record) -> io::Result<()> {
        if let Record::Exit(exit) = record {
            let Exit {
                process,
                group_dead,
                ..
            } = &exit.what;
            if *group_dead && self.tracker.is_reported(process) {
                return Ok(());
            }
            self.keep_status(&exit.what);
        }
        if !matches!(record, Record::Lost { .. }) {
            self.reported.seen += 1;
        }
        self.print(record)
    }

    /// Prints a record if it passes the filter.
    pub(crate) fn report_wanted(&mut self, record: &Record) -> io::Result<()> {
        if !self.admits(record) {
            return Ok(());
        }
        self.print(record)
    }

    fn print(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Lost { count, .. } => self.reported.lost += count,
            _ => self.reported.shown += 1,
        }
        let Self { out, clock, .. } = self;
        match &self.columns {
            Some(columns) => out.line(|line| columns.write_record(line, record, clock)),
            None => out.line(|line| json::write_record(line, record, clock)),
        }
    }

    fn admits(&self, record: &Record) -> bool {
        let hierarchy = self.wanted.hierarchy();
        self.wanted.admits(record, |id| {
            let hierarchy = hierarchy?;
            self.tracker.path(CgroupId { hierarchy, id })
        })
    }
}
