//! The line of a start.

use std::borrow::Cow;

use probe_user::{
    model::{Placed, Start},
    unstable::clock::WallClock,
};
use serde::{Deserialize, Serialize};

use super::{CgroupObject, ContainerObject, NamespaceObject, SCHEMA, time};

/// A process was forked, or executed another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct StartLine<'a> {
    /// Version of all line types.
    pub schema: u32,
    /// Type of the line.
    pub r#type: StartType,
    /// `fork` or `exec`.
    #[serde(borrow)]
    pub cause: Cow<'a, str>,
    /// `boottime_ns` as wall-clock time: RFC 3339 in UTC with nine digits.
    #[serde(borrow)]
    #[cfg_attr(feature = "server", schema(format = DateTime))]
    pub time: Cow<'a, str>,
    /// When the kernel hook ran: nanoseconds in `CLOCK_BOOTTIME`.
    pub boottime_ns: u64,
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Task id of the new leader, or of the task that called `exec`.
    pub tid: u32,
    /// Thread group id of the real parent.
    pub ppid: Option<u32>,
    /// Real uid in the initial user namespace.
    pub uid: Option<u32>,
    /// Name of the group leader.
    #[serde(borrow)]
    pub comm: Cow<'a, str>,
    /// Start of the group leader; `pid` and start identify one process.
    pub start_boottime_ns: Option<u64>,
    /// Arguments of an `exec`, if they could be read.
    #[serde(borrow)]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub args: Option<Cow<'a, [String]>>,
    /// Whether the arguments are cut off at 1 KiB.
    pub args_truncated: bool,
    /// The v2 cgroup unless that is the root, else the first v1 cgroup that is not the root.
    #[serde(borrow)]
    pub cgroup: Option<CgroupObject<'a>>,
    /// The container of that cgroup.
    #[serde(borrow)]
    pub container: Option<ContainerObject<'a>>,
    /// Its pid in its own pid namespace.
    pub ns: Option<NamespaceObject>,
}

/// Type of the line of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartType {
    /// The only value.
    Start,
}

impl<'a> StartLine<'a> {
    /// The line of a record; `clock` converts its time to wall-clock time.
    #[must_use]
    pub fn new(start: &'a Placed<Start>, clock: &WallClock) -> Self {
        let process = &start.what.process;
        let exec = start.what.exec.as_ref();
        Self {
            schema: SCHEMA,
            r#type: StartType::Start,
            cause: if exec.is_some() { "exec" } else { "fork" }.into(),
            time: time(clock.unix_ns(start.boottime_ns)).into(),
            boottime_ns: start.boottime_ns,
            pid: process.tgid,
            tid: process.tid,
            ppid: process.ppid,
            uid: process.uid,
            comm: process.comm.to_str(),
            start_boottime_ns: process.start_boottime_ns,
            args: exec.and_then(|exec| exec.args.as_deref()).map(Cow::from),
            args_truncated: exec.is_some_and(|exec| exec.truncated),
            cgroup: start.cgroup.as_ref().map(CgroupObject::from),
            container: start.container.as_deref().map(ContainerObject::from),
            ns: NamespaceObject::of(process),
        }
    }
}
