//! Prints records to stdout, for people or as JSON.

use std::{io, mem};

use probe_daemon::api::json;
use probe_user::{model::Record, unstable::clock::WallClock};

use super::{Out, Stdout, human::Columns};

/// Prints records to stdout.
#[derive(Debug)]
pub(crate) struct RecordPrinter {
    pub(crate) out: Out<Stdout>,
    pub(crate) clock: WallClock,
    columns: Option<Columns>,
    has_header: bool,
}

impl RecordPrinter {
    /// Prints in columns, or as JSON without columns.
    pub(crate) fn new(out: Out<Stdout>, columns: Option<Columns>) -> Self {
        Self {
            out,
            clock: WallClock::now(),
            columns,
            has_header: false,
        }
    }

    /// Prints the names of the columns once, if there are columns.
    pub(crate) fn print_header(&mut self) -> io::Result<()> {
        let has_header = mem::replace(&mut self.has_header, true);
        let Some(columns) = self.columns.as_ref().filter(|_| !has_header) else {
            return Ok(());
        };
        self.out.line(|line| columns.write_header(line))?;
        self.out.flush()
    }

    /// Prints a record.
    pub(crate) fn print(&mut self, record: &Record) -> io::Result<()> {
        let Self { out, clock, .. } = self;
        match &self.columns {
            Some(columns) => out.line(|line| columns.write_record(line, record, clock)),
            None => out.line(|line| json::write_record(line, record, clock)),
        }
    }
}
