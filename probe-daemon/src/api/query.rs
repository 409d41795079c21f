//! Queries of the `GET` routes.

use serde::{Deserialize, Serialize};

/// Which records. All conditions must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams, utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
pub struct Records {
    /// Only the subtree of this cgroup: a directory of a cgroup mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Only this container: its id, a beginning of it, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Only this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub pid: Option<u32>,
    /// Only what did not end by `exit(0)`.
    #[serde(default)]
    pub failed: bool,
}

/// Which of the recent exits, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams, utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "server", into_params(parameter_in = Query))]
pub struct Exits {
    /// Only the subtree of this cgroup: a directory of a cgroup mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Only this container: its id, a beginning of it, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Only this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub pid: Option<u32>,
    /// Only what did not end by `exit(0)`.
    #[serde(default)]
    pub failed: bool,
    /// Only what happened since: a time as RFC 3339 has it, or a duration before
    /// now (`10m`, `1h30m`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only the last so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", param(minimum = 1))]
    pub limit: Option<u32>,
}

impl From<Exits> for Records {
    fn from(exits: Exits) -> Self {
        Self {
            cgroup: exits.cgroup,
            container: exits.container,
            pid: exits.pid,
            failed: exits.failed,
        }
    }
}
