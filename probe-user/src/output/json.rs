//! Records as JSON, one object a line: the stable form, schema 1.
//!
//! Every field is always there, `null` when unknown. Adding fields is allowed;
//! changing the meaning of one is a new schema. The schemas are in `schemas/`
//! and the tests hold every line against them.

use std::{borrow::Cow, io};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use rustix::param::page_size;
use serde::Serialize;

use crate::{
    cgroup::Cgroup,
    container::Container,
    event::{Exit, Start, Usage},
    exit_status::ExitStatus,
    process::Process,
    record::{Placed, Record},
    signal::KilledBy,
    source::clock::WallClock,
};

/// Version of all line types.
pub const SCHEMA: u32 = 1;

/// Writes a record without the end of the line.
pub fn write_record(out: &mut Vec<u8>, record: &Record, clock: &WallClock) -> io::Result<()> {
    match record {
        Record::Exit(exit) => write(out, &ExitLine::new(exit, clock)),
        Record::Start(start) => write(out, &StartLine::new(start, clock)),
        Record::Lost { count, reason } => write(
            out,
            &LostLine {
                schema: SCHEMA,
                r#type: "lost",
                count: *count,
                reason: reason.as_str(),
            },
        ),
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

#[derive(Serialize)]
struct ExitLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: String,
    boottime_ns: u64,
    pid: u32,
    tid: u32,
    ppid: Option<u32>,
    uid: Option<u32>,
    comm: Cow<'a, str>,
    start_boottime_ns: Option<u64>,
    group_dead: bool,
    leader: bool,
    status: Option<StatusObject>,
    age_ns: Option<u64>,
    cgroup: Option<CgroupObject<'a>>,
    container: Option<ContainerObject<'a>>,
    killed_by: Option<KilledByObject<'a>>,
    oom: bool,
    usage: Option<UsageObject>,
    ns: Option<NamespaceObject>,
}

impl<'a> ExitLine<'a> {
    fn new(exit: &'a Placed<Exit>, clock: &WallClock) -> Self {
        let process = &exit.what.process;
        Self {
            schema: SCHEMA,
            r#type: "exit",
            time: time(clock.unix_ns(exit.boottime_ns)),
            boottime_ns: exit.boottime_ns,
            pid: process.tgid,
            tid: process.tid,
            ppid: process.ppid,
            uid: process.uid,
            comm: process.comm.to_str(),
            start_boottime_ns: process.start_boottime_ns,
            group_dead: exit.what.group_dead,
            leader: exit.what.leader,
            status: exit.what.status.map(StatusObject::from),
            age_ns: age_ns(exit.boottime_ns, process),
            cgroup: exit.cgroup.as_ref().map(CgroupObject::from),
            container: exit.container.as_deref().map(ContainerObject::from),
            killed_by: exit.what.killed_by.as_ref().map(KilledByObject::from),
            oom: exit.what.oom,
            usage: exit.what.usage.map(UsageObject::from),
            ns: namespace(process),
        }
    }
}

/// Time since the start of the group leader.
#[must_use]
pub fn age_ns(boottime_ns: u64, process: &Process) -> Option<u64> {
    process
        .start_boottime_ns
        .map(|start| boottime_ns.saturating_sub(start))
}

#[derive(Serialize)]
struct StartLine<'a> {
    schema: u32,
    r#type: &'static str,
    cause: &'static str,
    time: String,
    boottime_ns: u64,
    pid: u32,
    tid: u32,
    ppid: Option<u32>,
    uid: Option<u32>,
    comm: Cow<'a, str>,
    start_boottime_ns: Option<u64>,
    args: Option<&'a [String]>,
    args_truncated: bool,
    cgroup: Option<CgroupObject<'a>>,
    container: Option<ContainerObject<'a>>,
    ns: Option<NamespaceObject>,
}

impl<'a> StartLine<'a> {
    fn new(start: &'a Placed<Start>, clock: &WallClock) -> Self {
        let process = &start.what.process;
        let exec = start.what.exec.as_ref();
        Self {
            schema: SCHEMA,
            r#type: "start",
            cause: if exec.is_some() { "exec" } else { "fork" },
            time: time(clock.unix_ns(start.boottime_ns)),
            boottime_ns: start.boottime_ns,
            pid: process.tgid,
            tid: process.tid,
            ppid: process.ppid,
            uid: process.uid,
            comm: process.comm.to_str(),
            start_boottime_ns: process.start_boottime_ns,
            args: exec.and_then(|exec| exec.args.as_deref()),
            args_truncated: exec.is_some_and(|exec| exec.truncated),
            cgroup: start.cgroup.as_ref().map(CgroupObject::from),
            container: start.container.as_deref().map(ContainerObject::from),
            ns: namespace(process),
        }
    }
}

#[derive(Serialize)]
struct LostLine {
    schema: u32,
    r#type: &'static str,
    count: u64,
    reason: &'static str,
}

#[derive(Serialize)]
struct StatusObject {
    kind: &'static str,
    code: Option<u8>,
    signal: Option<Cow<'static, str>>,
    number: Option<u32>,
    core_dumped: bool,
}

impl From<ExitStatus> for StatusObject {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Exited { code } => Self {
                kind: "exited",
                code: Some(code),
                signal: None,
                number: None,
                core_dumped: false,
            },
            ExitStatus::Signaled {
                signal,
                core_dumped,
            } => Self {
                kind: "signaled",
                code: None,
                signal: Some(signal.name()),
                number: Some(signal.0),
                core_dumped,
            },
        }
    }
}

#[derive(Serialize)]
struct CgroupObject<'a> {
    hierarchy: u32,
    id: u64,
    path: Option<&'a str>,
}

impl<'a> From<&'a Cgroup> for CgroupObject<'a> {
    fn from(cgroup: &'a Cgroup) -> Self {
        Self {
            hierarchy: cgroup.id.hierarchy,
            id: cgroup.id.id,
            path: cgroup.path.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct ContainerObject<'a> {
    runtime: &'static str,
    id: &'a str,
    name: Option<&'a str>,
    pod_uid: Option<&'a str>,
}

impl<'a> From<&'a Container> for ContainerObject<'a> {
    fn from(container: &'a Container) -> Self {
        Self {
            runtime: container.runtime.as_str(),
            id: &container.id,
            name: container.name.as_deref(),
            pod_uid: container.pod_uid.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct KilledByObject<'a> {
    pid: Option<u32>,
    comm: Option<&'a str>,
    uid: Option<u32>,
    signal: Cow<'static, str>,
    via: &'static str,
    cause: Option<&'static str>,
}

impl<'a> From<&'a KilledBy> for KilledByObject<'a> {
    fn from(killed_by: &'a KilledBy) -> Self {
        let sender = killed_by.sender.as_ref();
        Self {
            pid: sender.map(|sender| sender.tgid),
            comm: sender.map(|sender| sender.comm.as_str()),
            uid: sender.map(|sender| sender.uid),
            signal: killed_by.signal.name(),
            via: killed_by.via.as_str(),
            cause: killed_by.cause.map(crate::signal::Cause::as_str),
        }
    }
}

#[derive(Serialize)]
struct UsageObject {
    user_ns: u64,
    system_ns: u64,
    max_rss_bytes: u64,
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        Self {
            user_ns: usage.user_ns,
            system_ns: usage.system_ns,
            max_rss_bytes: usage.max_rss_pages.saturating_mul(page_size() as u64),
        }
    }
}

#[derive(Serialize)]
struct NamespaceObject {
    pid: u32,
    pid_ns: u32,
}

fn namespace(process: &Process) -> Option<NamespaceObject> {
    let (pid, pid_ns) = process.ns_pid.zip(process.pid_ns)?;
    Some(NamespaceObject { pid, pid_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_even_when_they_are_zeros() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            time(1_767_323_045_678_901_234),
            "2026-01-02T03:04:05.678901234Z"
        );
    }
}
