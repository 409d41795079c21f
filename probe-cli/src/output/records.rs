//! Prints records to stdout, for people or as JSON.

use std::{
    io::{self, Write},
    mem,
};

use probe_daemon::api::json::{self, TeardownLine};
use probe_user::{model::Record, unstable::clock::WallClock};

use super::{
    Out, Stdout,
    human::{Columns, age, printable},
};
use crate::teardown::Teardown;

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

    /// Prints that an exit takes long, or took long.
    pub(crate) fn print_teardown(&mut self, teardown: &Teardown) -> io::Result<()> {
        let Teardown {
            exit,
            steps,
            elapsed_ns,
            is_gone,
            reason,
        } = teardown;
        let Self { out, clock, .. } = self;
        if self.columns.is_none() {
            let line =
                TeardownLine::new(exit, *steps, (*elapsed_ns, *is_gone), reason.clone(), clock);
            return out.line(|text| json::write(text, &line));
        }
        let process = &exit.what.process;
        let name = format!("{}[{}]", printable(&process.comm.to_str()), process.tgid);
        let text = match (reason, steps.zombie_ns, steps.reaped_ns) {
            (Some(reason), ..) => format!(
                "{name} is there {} after its exit began: it {}",
                age(*elapsed_ns),
                printable(&reason.text)
            ),
            (None, Some(zombie), Some(reaped)) => format!(
                "{name} took {} to be gone: {} until it was a zombie, {} until it was reaped",
                age(*elapsed_ns),
                age(zombie),
                age(reaped - zombie)
            ),
            _ if *is_gone => format!("{name} took {} to be gone", age(*elapsed_ns)),
            _ => format!("{name} is there {} after its exit began", age(*elapsed_ns)),
        };
        out.line(|line| line.write_all(text.as_bytes()))
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
