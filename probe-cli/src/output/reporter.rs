//! Turns events into lines of output, for `trace`, `wait` and `kill`.

use std::io;

use probe_user::{
    model::{Exit, ExitStatus, Filter, LossCount, LossReason, Record, Timed},
    unstable::{
        cgroup::mounts::Mounts,
        clock::tick_of,
        container::Resolver,
        trace::{lookup::CgroupLookup, tracker::Tracker},
    },
};

use super::{Out, RecordPrinter, Stdout, human::Columns};
use crate::teardown::Teardowns;

/// The records to report, and their format.
#[derive(Debug)]
pub struct ReportOptions {
    /// The records to report.
    pub wanted: Filter,
    /// Columns for people, or `None` for JSON.
    pub columns: Option<Columns>,
    /// Where the cgroup hierarchies are mounted.
    pub mounts: Mounts,
    /// Finds the containers of cgroups.
    pub resolver: Resolver,
    /// stdout.
    pub out: Out<Stdout>,
}

/// The stages between an event and its line.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) tracker: Tracker,
    pub(crate) lookup: CgroupLookup,
    pub(crate) wanted: Filter,
    pub(crate) printer: RecordPrinter,
    pub(crate) reported: Reported,
    /// Pid and start time, in clock ticks, of the process with the requested status.
    pub(crate) status_of: Option<(u32, u64)>,
    pub(crate) status: Option<ExitStatus>,
    /// Follows the exits that are printed.
    pub(crate) teardowns: Option<Teardowns>,
}

/// Counts of records so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reported {
    /// Exits and starts that were received.
    pub(crate) seen: u64,
    /// Exits and starts that were printed.
    pub(crate) shown: u64,
    /// Exits and starts that are missing.
    pub(crate) lost: LossCount,
}

impl Reporter {
    pub(crate) fn new(options: ReportOptions) -> Self {
        Self {
            tracker: Tracker::for_filter(&options.wanted),
            lookup: CgroupLookup::new(options.mounts, options.resolver),
            wanted: options.wanted,
            printer: RecordPrinter::new(options.out, options.columns),
            reported: Reported::default(),
            status_of: None,
            status: None,
            teardowns: None,
        }
    }

    /// Prints the record of an event, if there is one and it passes the filter.
    pub(crate) fn report(&mut self, timed: Timed) -> io::Result<()> {
        let record = self.lookup.record(&mut self.tracker, timed);
        if let Some(renamed) = self.tracker.take_renamed() {
            self.wanted.rename(&renamed);
        }
        let Some(record) = record else {
            return Ok(());
        };
        if let Record::Exit(exit) = &record {
            self.keep_status(&exit.what);
        }
        let is_wanted = self.wanted.admits(&record);
        self.count(&record, is_wanted)
    }

    /// Keeps the exit status if this is the requested process. A record counts nanoseconds,
    /// `/proc` counts clock ticks.
    fn keep_status(&mut self, exit: &Exit) {
        let start_ticks = exit.process.start_boottime_ns.map(tick_of);
        let is_requested = |(pid, start)| exit.process.tgid == pid && start_ticks == Some(start);
        if exit.group_dead && self.status_of.is_some_and(is_requested) {
            self.status = exit.status;
        }
    }

    /// Prints a record that a daemon has filtered, unless BPF programs of this command reported
    /// the same exit before.
    pub(crate) fn report_from_daemon(&mut self, record: &Record) -> io::Result<()> {
        if let Record::Exit(exit) = record {
            let exit = &exit.what;
            if exit.group_dead && self.tracker.is_reported(&exit.process) {
                return Ok(());
            }
            self.keep_status(exit);
        }
        self.count(record, true)
    }

    /// Reports that records are missing from here on, and that their number is unknown.
    pub(crate) fn lose(&mut self, reason: LossReason) -> io::Result<()> {
        let count = None;
        self.count(&Record::Lost { count, reason }, true)
    }

    /// Counts a record, and prints it if it is wanted.
    pub(crate) fn count(&mut self, record: &Record, is_wanted: bool) -> io::Result<()> {
        if let Record::Lost { count, .. } = record {
            self.reported.lost.add(*count);
        } else {
            self.reported.seen += 1;
            self.reported.shown += u64::from(is_wanted);
        }
        if is_wanted {
            self.printer.print(record)?;
            if let Some(teardowns) = &mut self.teardowns {
                teardowns.follow(record);
            }
        }
        Ok(())
    }
}
