//! Records as JSON, one object per line: the stable format, schema 1.
//!
//! Every field is always present, and `null` if its value is unknown. A field may be
//! added within a schema; a change of a field's meaning needs a new schema. The JSON
//! Schemas are in `schemas/`, and the tests validate every line against them.
//!
//! The daemon sends the same lines, and `ExitLine::to_record` reads them back. A later
//! version may have more words, so an unknown word is read as an unknown value.

mod armed;
mod doctor;
mod exit;
pub mod listing;
mod lost;
mod origin;
mod place;
mod run;
mod start;
mod status;
mod subject;
mod teardown;
#[cfg(test)]
mod tests;
mod verdict;
mod why;

use std::io;

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::{Deserialize, Serialize};

pub use self::{
    armed::ArmedLine,
    doctor::{CheckObject, DoctorLine, EngineObject},
    exit::{ExitLine, UsageObject},
    lost::LostLine,
    origin::KilledByObject,
    place::{CgroupObject, ContainerObject, NamespaceObject},
    run::{LeftoverObject, RunLine},
    start::StartLine,
    status::StatusObject,
    subject::{NamedCgroup, NamedContainer, NamedProcess, SubjectObject},
    teardown::{Steps, TeardownLine},
    verdict::{NOT_REMOVED, TargetObject, VerdictLine},
    why::WhyLine,
};
use probe_user::{model::Record, unstable::clock::WallClock};

/// Version of all line types.
pub const SCHEMA: u32 = 1;

/// Type of the line of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineType {
    /// A process or task exits.
    Exit,
    /// A process starts.
    Start,
    /// Records are missing.
    Lost,
}

/// Writes a record as JSON, without a newline.
pub fn write_record(out: &mut Vec<u8>, record: &Record, clock: &WallClock) -> io::Result<()> {
    match record {
        Record::Exit(exit) => write(out, &ExitLine::new(exit, clock)),
        Record::Start(start) => write(out, &StartLine::new(start, clock)),
        Record::Lost { count, reason } => write(out, &LostLine::new(*count, *reason)),
    }
}

/// A pid, of which 0 means that the process has none in the namespace.
fn number(pid: u32) -> Option<u32> {
    (pid != 0).then_some(pid)
}

/// Writes a line of any type, without a newline.
pub fn write(out: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, line).map_err(io::Error::from)
}

/// Formats a time as RFC 3339 in UTC, always with nanoseconds, so that lines sort as text.
#[must_use]
pub fn time(unix_ns: i128) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
    let timestamp = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::MAX);
    PRINTER.timestamp_to_string(&timestamp)
}

/// Age of a process with this start, at a moment.
#[must_use]
pub fn age_ns(start_boottime_ns: Option<u64>, now_ns: u64) -> Option<u64> {
    start_boottime_ns.map(|start| now_ns.saturating_sub(start))
}
