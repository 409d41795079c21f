//! `GET /v1/containers`: containers and their live processes.

use probe_user::model;
use serde::{Deserialize, Serialize};

/// Containers with at least one live process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Containers {
    /// The containers, sorted by id.
    pub containers: Vec<Container>,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Container {
    /// The runtime: `runc`, `podman`, `docker`, `containerd` ...
    pub runtime: String,
    /// The runtime's id.
    pub id: String,
    /// Name that the runtime has for it.
    pub name: Option<String>,
    /// Uid of its Kubernetes pod.
    pub pod_uid: Option<String>,
    /// `NAMESPACE/NAME` of that pod; `null` if the daemon may not read it.
    #[serde(default)]
    pub pod: Option<String>,
    /// Directory with the state of the runtime, in which the id is unique; `null` if it is not
    /// known.
    #[serde(default)]
    pub location: Option<String>,
    /// Its topmost known cgroup: path below the root of the hierarchy.
    pub cgroup: String,
    /// Number of processes that have not exited.
    pub live: u64,
    /// Start of the oldest live process, nanoseconds in `CLOCK_BOOTTIME`. For a process that is
    /// older than the daemon it is the beginning of the clock tick.
    pub oldest_start_boottime_ns: Option<u64>,
    /// Number of exits of its processes in the history.
    pub recent_exits: u64,
    /// The live processes; only in the answer for one container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<Process>>,
}

impl Container {
    /// The container without live processes.
    #[must_use]
    pub fn empty(container: &model::Container, cgroup: &str) -> Self {
        let location = container.location.as_deref();
        Self {
            runtime: container.runtime.as_str().to_owned(),
            id: container.id.clone(),
            name: container.name.clone(),
            pod_uid: container.pod_uid.clone(),
            pod: container.pod.clone(),
            location: location.map(|it| it.to_string_lossy().into_owned()),
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
    /// Real uid at its last fork, exec or scan of `/proc`.
    pub uid: Option<u32>,
    /// Name of the group leader, from `/proc` at the time of the request.
    pub comm: String,
    /// Start of the process, nanoseconds in `CLOCK_BOOTTIME`. For a process that is older than
    /// the daemon it is the beginning of the clock tick.
    pub start_boottime_ns: Option<u64>,
    /// Path of its cgroup below the root of the hierarchy.
    pub cgroup: Option<String>,
    /// Whether it has begun to exit.
    #[serde(default)]
    pub state: State,
}

/// State of a process that has not exited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = LiveProcessState))]
pub enum State {
    /// At least one task has not begun to exit.
    #[default]
    Running,
    /// Every task has begun to exit: the process may still hold memory, files and its cgroup,
    /// and its exit may hang.
    Exiting,
}

impl State {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Exiting => "exiting",
        }
    }
}
