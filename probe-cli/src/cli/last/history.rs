//! The exits of an answer, as they come or sorted.

use std::collections::VecDeque;

use probe_daemon::client::Records;
use probe_user::model::Record;

use crate::{
    cli::{Failure, socket::request_failed},
    output::{RecordPrinter, ignore_closed, is_closed},
};

/// Prints exits, one answer after the other. Answers about several targets are merged.
pub(super) struct Exits {
    printer: RecordPrinter,
    /// Whether records are printed as they come.
    streams: bool,
    is_reversed: bool,
    count: Option<usize>,
    /// Records with their times; a loss has the time of the exit before it.
    records: Vec<(u64, Record)>,
    has_losses: bool,
    reader: Reader,
}

/// The reader of stdout.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Reads,
    HasGone,
}

impl Exits {
    pub(super) fn new(
        printer: RecordPrinter,
        count: Option<u32>,
        is_reversed: bool,
        answers: usize,
    ) -> Self {
        Self {
            printer,
            streams: answers == 1 && !is_reversed,
            is_reversed,
            count: count.map(|count| count as usize),
            records: Vec::new(),
            has_losses: false,
            reader: Reader::Reads,
        }
    }

    /// Takes the records of an answer, and returns the number of exits.
    pub(super) async fn take(&mut self, mut records: Records) -> Result<usize, Failure> {
        let mut exits = 0;
        let mut time = 0;
        // Every answer has the same losses.
        let takes_losses = !self.has_losses;
        while let Some(record) = records.next().await.map_err(request_failed)? {
            match &record {
                Record::Exit(exit) => {
                    time = exit.boottime_ns;
                    exits += 1;
                }
                Record::Lost { .. } if takes_losses => self.has_losses = true,
                _ => continue,
            }
            if self.streams {
                self.print(&record)?;
            } else {
                self.records.push((time, record));
            }
            if self.reader == Reader::HasGone {
                break;
            }
        }
        Ok(exits)
    }

    /// Prints what is not printed yet.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let mut records = std::mem::take(&mut self.records);
        records.sort_by_key(|(time, _)| *time);
        let mut records = newest(records, self.count);
        if self.is_reversed {
            records.make_contiguous().reverse();
        }
        for record in &records {
            self.print(record)?;
        }
        ignore_closed(self.printer.out.flush())?;
        Ok(())
    }

    fn print(&mut self, record: &Record) -> Result<(), Failure> {
        let header = self.printer.print_header();
        match header.and_then(|()| self.printer.print(record)) {
            Err(error) if is_closed(&error) => self.reader = Reader::HasGone,
            written => written?,
        }
        Ok(())
    }
}

/// The last `count` exits, and the losses between them. An exit of two targets is one.
fn newest(records: Vec<(u64, Record)>, count: Option<usize>) -> VecDeque<Record> {
    let mut kept = VecDeque::new();
    let mut exits = 0;
    let mut last = None;
    for (time, record) in records.into_iter().rev() {
        if let Record::Exit(exit) = &record {
            let of = (time, exit.what.process.tgid, exit.what.process.tid);
            if last.replace(of) == Some(of) {
                continue;
            }
            if count == Some(exits) {
                break;
            }
            exits += 1;
        }
        kept.push_front(record);
    }
    kept
}
