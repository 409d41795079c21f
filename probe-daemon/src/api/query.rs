//! Queries of the `GET` routes.

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
}

/// Conditions on exits in the history; an exit must meet all of them.
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
    /// Only records of the processes that had this pid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub pid: Option<u32>,
    /// Only processes that did not end by `exit(0)`.
    #[serde(default)]
    pub failed: bool,
    /// Only exits since then: a time in the format of RFC 3339, or a duration before
    /// now (`10m`, `1h30m`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only the newest exits, at most this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub limit: Option<u32>,
}
