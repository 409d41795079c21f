//! Records as JSON, one object a line: the stable form, schema 1.
//!
//! Every field is always there, `null` when unknown. Adding fields is allowed;
//! changing the meaning of one is a new schema. The schemas are in `schemas/`
//! and the tests hold every line against them.
//!
//! The daemon sends the same lines, and `ExitLine::to_record` reads them back. An
//! unknown word in a line is read as an unknown value, because a later version may have
//! more words.

mod doctor;
mod exit;
pub mod listing;
mod lost;
mod origin;
mod place;
mod start;
mod status;
mod subject;
#[cfg(test)]
mod tests;
mod verdict;

use std::io;

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::Serialize;

pub use self::{
    doctor::{CheckObject, DoctorLine},
    exit::{ExitLine, ExitType, UsageObject},
    lost::{LostLine, LostType},
    origin::KilledByObject,
    place::{CgroupObject, ContainerObject, NamespaceObject},
    start::{StartLine, StartType},
    status::StatusObject,
    subject::{NamedCgroup, NamedContainer, NamedProcess, SubjectObject},
    verdict::{MigrantObject, SurvivorObject, TargetObject, VerdictLine},
};
use probe_user::{
    model::{Process, Record},
    unstable::clock::WallClock,
};

/// Version of all line types.
pub const SCHEMA: u32 = 1;

/// Writes a record without the end of the line.
pub fn write_record(out: &mut Vec<u8>, record: &Record, clock: &WallClock) -> io::Result<()> {
    match record {
        Record::Exit(exit) => write(out, &ExitLine::new(exit, clock)),
        Record::Start(start) => write(out, &StartLine::new(start, clock)),
        Record::Lost { count, reason } => write(out, &LostLine::new(*count, *reason)),
    }
}

/// Writes any line type.
pub fn write(out: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, line).map_err(io::Error::from)
}

/// RFC 3339 in UTC, always with nanoseconds, so that lines sort as text.
#[must_use]
pub fn time(unix_ns: i128) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
    let timestamp = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::MAX);
    PRINTER.timestamp_to_string(&timestamp)
}

/// Time since the start of the group leader.
#[must_use]
pub fn age_ns(boottime_ns: u64, process: &Process) -> Option<u64> {
    process
        .start_boottime_ns
        .map(|start| boottime_ns.saturating_sub(start))
}
