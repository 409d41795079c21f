//! `GET /v1/containers`: containers and their live processes.

use probe_user::model;
use serde::{Deserialize, Serialize};

/// Containers with at least one live process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Containers {
    /// In the order of their ids.
    pub containers: Vec<Container>,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Container {
    /// Whose it is: `runc`, `podman`, `docker`, `containerd` ...
    pub runtime: String,
    /// Id as the runtime spells it.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// Kubernetes pod.
    pub pod_uid: Option<String>,
    /// Its topmost cgroup that we know of: path below the root of the hierarchy.
    pub cgroup: String,
    /// Processes that have not exited.
    pub live: u64,
    /// Start of the oldest of them, nanoseconds in `CLOCK_BOOTTIME`.
    pub oldest_start_boottime_ns: Option<u64>,
    /// Exits of its processes that are still in the history.
    pub recent_exits: u64,
    /// The live processes: only in the answer for one container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<Process>>,
}

impl Container {
    /// The container without any process.
    #[must_use]
    pub fn empty(container: &model::Container, cgroup: &str) -> Self {
        Self {
            runtime: container.runtime.as_str().to_owned(),
            id: container.id.clone(),
            name: container.name.clone(),
            pod_uid: container.pod_uid.clone(),
            cgroup: cgroup.to_owned(),
            live: 0,
            oldest_start_boottime_ns: None,
            recent_exits: 0,
            processes: None,
        }
    }
}

/// A process that has not exited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = LiveProcess))]
pub struct Process {
    /// Thread group id.
    pub pid: u32,
    /// Thread group id of the parent; `null` if it is not known.
    pub ppid: Option<u32>,
    /// Real uid when it was born, last executed a program or was scanned.
    pub uid: Option<u32>,
    /// Name.
    pub comm: String,
    /// Start, nanoseconds in `CLOCK_BOOTTIME`.
    pub start_boottime_ns: Option<u64>,
    /// Path of its cgroup.
    pub cgroup: Option<String>,
}
