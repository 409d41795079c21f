//! `POST /v1/wait`: the request and the lines of the answer.

use probe_user::model::Until;
use serde::{Deserialize, Serialize};

/// What to wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// At least one, at most 1024.
    #[cfg_attr(feature = "server", schema(min_items = 1, max_items = 1024))]
    pub targets: Vec<Target>,
    /// What must be true of targets that do not say it themselves; by default
    /// `empty` for cgroups, `exited` for processes, `stopped` for containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Milliseconds after which the answer is `timeout`; without it there is no
    /// end. 0 looks once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 31_536_000_000_u64))]
    pub timeout_ms: Option<u64>,
    /// Done as soon as so many targets are; by default all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub count: Option<u32>,
}

/// Targets of one request at most.
pub const MOST_TARGETS: usize = 1024;

/// The longest time-out: a year.
pub const MOST_TIMEOUT_MS: u64 = 31_536_000_000;

/// One target: exactly one of `cgroup`, `process`, `path`, `pid` and `container`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A cgroup by its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
    /// A process by its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// A cgroup by its directory, as the daemon sees the cgroup mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The process that has this pid now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub pid: Option<u32>,
    /// A container by its id, a beginning of it, or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What must be true of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

/// Identity of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    /// 0 for v2, else the number that `/proc/self/cgroup` shows.
    pub hierarchy: u32,
    /// Inode number of its directory.
    pub id: u64,
}

/// Identity of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
// A live process of a container has the name.
#[cfg_attr(feature = "server", schema(as = ProcessIdentity))]
pub struct Process {
    /// Thread group id in the daemon's pid namespace.
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub pid: u32,
    /// Start in clock ticks after boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

/// One line of the answer, by its `type`. Between `armed` and the last line there
/// are lines of type `exit` and `lost` as in `probe wait --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// From here on no exit is missed.
    Armed(Armed),
    /// A target is done.
    Met(Met),
    /// The verdict, and the last line.
    Wait(Verdict),
    /// The daemon ends before the wait does: go on without it. The last line.
    Goodbye,
}

/// From here on no exit is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Armed {
    /// Processes that are there now; `null` if some of them are none of the
    /// client's business.
    pub live: Option<u64>,
}

/// A target is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Met {
    /// Its place in the request, from 0.
    pub target: u32,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// `done`, `already` or `timeout`.
    pub outcome: String,
    /// What led to the last look; `null` if nothing had to.
    pub woken_by: Option<String>,
    /// Whether the answer is certain on this kernel.
    pub exact: bool,
    /// Nanoseconds from the request to the last look.
    pub elapsed_ns: u64,
    /// Targets that are done.
    pub met: u32,
    /// Exits that were told.
    pub exits: u64,
    /// Exits that were lost meanwhile.
    pub lost: u64,
    /// Pids that are still there; `null` if some of them are none of the client's
    /// business.
    pub survivors: Option<Vec<u32>>,
}
