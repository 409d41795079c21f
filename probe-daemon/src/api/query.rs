//! Queries of the `GET` routes.

use std::ops::Not;

use serde::{Deserialize, Serialize};

/// Conditions on records; a record must meet all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams, utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
pub struct Records {
    /// Only records of this cgroup and its descendants: a directory of a cgroup mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Only records of this container: its id, a unique prefix of the id, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Only records of the process that has this pid now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub pid: Option<u32>,
    /// With `pid`: only records of the process that started at this time, in clock ticks after
    /// boot (field 22 of `/proc/PID/stat`), also if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ticks: Option<u64>,
    /// Only processes that did not end by `exit(0)`.
    #[serde(default)]
    pub failed: bool,
    /// Only processes that a signal ended.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub signaled: bool,
    /// Only processes that the out-of-memory killer ended.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub oom: bool,
    /// Only processes with a name that matches one of these patterns, which commas separate:
    /// `nginx*,sh`. `?` stands for any character, also for a comma.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// Only processes with one of these real user ids, which commas separate: `0,1000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Only processes that lived at least this long: `250ms`, `2.5` (seconds) or `1m30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age: Option<String>,
    /// Only processes that lived at most this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
}

/// Conditions on exits in the history; an exit must meet all of them.
#[expect(clippy::struct_excessive_bools, reason = "independent conditions")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams, utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
pub struct Exits {
    /// Only records of this cgroup and its descendants: a directory of a cgroup mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Only records of this container: its id, a unique prefix of the id, or its name, also a
    /// name that the container had at the time of an exit. If several containers have or had the name, the newest
    /// is meant: the one that exists, otherwise the one with the last exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// All containers that have or had the name in `container`, not only the newest.
    #[serde(default)]
    pub all: bool,
    /// Only records of the processes that had one of these pids, which commas separate: `1,2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<String>,
    /// Only processes that did not end by `exit(0)`.
    #[serde(default)]
    pub failed: bool,
    /// Only processes that a signal ended.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub signaled: bool,
    /// Only processes that the out-of-memory killer ended.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub oom: bool,
    /// Only processes with a name that matches one of these patterns, which commas separate:
    /// `nginx*,sh`. `?` stands for any character, also for a comma.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// Only processes with one of these real user ids, which commas separate: `0,1000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Only processes that lived at least this long: `250ms`, `2.5` (seconds) or `1m30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age: Option<String>,
    /// Only processes that lived at most this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// Only exits since then: a time span before now (`10m`, `1h30m`, `2 days ago`), `now`,
    /// `today`, `yesterday`, `14:30`, `2026-01-02 14:30`, `@SECONDS` since 1970, or a time in the
    /// format of RFC 3339. A time without an offset is one in the time zone of the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only exits until then: a moment in one of the formats of `since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only the newest exits, at most this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub limit: Option<u32>,
}
