//! The line of a start.

use std::borrow::Cow;

use probe_user::{
    model::{Placed, Start},
    unstable::clock::WallClock,
};
use serde::Serialize;

use super::{CgroupObject, ContainerObject, LineType, NamespaceObject, SCHEMA, number, time};

/// A process was forked, or executed another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StartLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// Type of the line.
    pub r#type: LineType,
    /// `fork` or `exec`.
    pub cause: &'static str,
    /// `boottime_ns` as wall-clock time: RFC 3339 in UTC with nine digits.
    pub time: String,
    /// When the kernel hook ran: nanoseconds in `CLOCK_BOOTTIME`.
    pub boottime_ns: u64,
    /// Thread group id in the pid namespace of probe, or of the daemon; `null` if the process
    /// has none there.
    pub pid: Option<u32>,
    /// Task id of the new leader, or of the task that called `exec`.
    pub tid: Option<u32>,
    /// Thread group id of the real parent.
    pub ppid: Option<u32>,
    /// Real uid in the initial user namespace.
    pub uid: Option<u32>,
    /// Name of the group leader.
    pub comm: Cow<'a, str>,
    /// Start of the group leader; `pid` and start identify one process.
    pub start_boottime_ns: Option<u64>,
    /// Arguments of an `exec`, if they could be read.
    pub args: Option<&'a [String]>,
    /// Whether the arguments are cut off at 1 KiB.
    pub args_truncated: bool,
    /// The v2 cgroup unless that is the root, else the first v1 cgroup that is not the root.
    pub cgroup: Option<CgroupObject<'a>>,
    /// The container of that cgroup, else that of its cgroup in the first v1 hierarchy.
    pub container: Option<ContainerObject<'a>>,
    /// Its pid in its own pid namespace.
    pub ns: Option<NamespaceObject>,
}

impl<'a> StartLine<'a> {
    /// The line of a record; `clock` converts its time to wall-clock time.
    #[must_use]
    pub fn new(start: &'a Placed<Start>, clock: &WallClock) -> Self {
        let process = &start.what.process;
        let exec = start.what.exec.as_ref();
        Self {
            schema: SCHEMA,
            r#type: LineType::Start,
            cause: if exec.is_some() { "exec" } else { "fork" },
            time: time(clock.unix_ns(start.boottime_ns)),
            boottime_ns: start.boottime_ns,
            pid: number(process.tgid),
            tid: number(process.tid),
            ppid: process.ppid,
            uid: process.uid,
            comm: process.comm.to_str(),
            start_boottime_ns: process.start_boottime_ns,
            args: exec.and_then(|exec| exec.args.as_deref()),
            args_truncated: exec.is_some_and(|exec| exec.truncated),
            cgroup: start.cgroup.as_ref().map(CgroupObject::from),
            container: start.container.as_deref().map(ContainerObject::from),
            ns: NamespaceObject::of(process),
        }
    }
}
