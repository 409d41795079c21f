//! `POST /v1/wait`: the request and the lines of the answer.

use probe_user::model::Until;
use serde::{Deserialize, Serialize};

/// A wait for one or more targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The targets, 1 to 1024.
    #[cfg_attr(feature = "server", schema(min_items = 1, max_items = 1024))]
    pub targets: Vec<Target>,
    /// Condition of the targets that have no `until` of their own. Default: `empty` for
    /// cgroups, `exited` for processes, `stopped` for containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Milliseconds after which the wait ends with the outcome `timeout`. Without it the
    /// wait has no time limit. 0 looks once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 31_536_000_000_u64))]
    pub timeout_ms: Option<u64>,
    /// Number of targets that must meet their condition. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub count: Option<u32>,
}

/// Maximum number of targets of a request.
pub const MAX_TARGETS: usize = 1024;

/// Maximum of `timeout_ms`: a year.
pub const MAX_TIMEOUT_MS: u64 = 31_536_000_000;

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
    /// A cgroup by its directory on a cgroup mount of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The process that has this pid now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub pid: Option<u32>,
    /// A container by its id, a unique prefix of the id, or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Condition of this target. Default: `until` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

/// Identity of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    /// 0 for v2, else the id of the v1 hierarchy: the first column of `/proc/PID/cgroup`.
    pub hierarchy: u32,
    /// Inode number of its directory.
    pub id: u64,
}

/// Identity of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
// The schema of a live process is another one.
#[cfg_attr(feature = "server", schema(as = ProcessIdentity))]
pub struct Process {
    /// Thread group id in the daemon's pid namespace.
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub pid: u32,
    /// Start in clock ticks after boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

/// One line of the answer, by its `type`. Lines of type `exit` and `lost`, as in
/// `probe wait --json`, stand between `armed` and the last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// The wait is armed: the answer has every exit from now on, except those in targets of
    /// `without_exits`.
    Armed(Armed),
    /// A target meets its condition.
    Met(Met),
    /// The verdict. The last line.
    Wait(Verdict),
    /// The client asked for the rest of `/v1/events` and has it: every record until then, or a
    /// line that counts it as lost. The last line.
    End,
    /// The daemon stops before the wait is over, and the client goes on without the
    /// daemon. The last line.
    Goodbye,
}

/// The wait is armed: the answer has every exit from now on, except those in targets of
/// `without_exits`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Armed {
    /// Number of processes in the targets now; `null` if the client may not see all of
    /// them.
    pub live: Option<u64>,
    /// Indices of the targets, from 0, of which the answer has no exits: cgroups of a v1
    /// hierarchy that records do not name. Records name the v2 cgroup, and that of one v1
    /// hierarchy. Missing if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_exits: Vec<u32>,
}

/// A target meets its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Met {
    /// Index of the target in the request, from 0.
    pub target: u32,
}

/// The verdict of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// `done`, `already`, `timeout`, or `interrupted` if the client asked for the rest.
    pub outcome: String,
    /// The wake-up source that led to the last look; `null` if there was none.
    pub woken_by: Option<String>,
    /// Whether the state of the kernel proves the verdict.
    pub exact: bool,
    /// Nanoseconds from the request to the last look.
    pub elapsed_ns: u64,
    /// Number of targets that meet their condition.
    pub met: u32,
    /// Number of exits in the answer.
    pub exits: u64,
    /// Number of exits that are missing in the answer.
    pub lost: u64,
    /// Pids that are still in the targets; `null` if the client may not see all of them.
    pub survivors: Option<Vec<u32>>,
}
