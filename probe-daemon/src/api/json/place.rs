//! Cgroup, container and pid namespace of a process, as objects of a line.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use probe_user::model::{Cgroup, CgroupId, Container, Process, Runtime};
use serde::{Deserialize, Serialize};

/// Identity and path of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupObject<'a> {
    /// 0 for v2, else the id of the v1 hierarchy: the first column of `/proc/PID/cgroup`.
    pub hierarchy: u32,
    /// Inode number of its directory.
    pub id: u64,
    /// Path below the root of the hierarchy; `null` if it is unknown.
    #[serde(borrow)]
    pub path: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Cgroup> for CgroupObject<'a> {
    fn from(cgroup: &'a Cgroup) -> Self {
        Self {
            hierarchy: cgroup.id.hierarchy,
            id: cgroup.id.id,
            path: cgroup.path.as_deref().map(Cow::from),
        }
    }
}

impl CgroupObject<'_> {
    pub(super) fn to_cgroup(&self) -> Cgroup {
        Cgroup {
            id: CgroupId {
                hierarchy: self.hierarchy,
                id: self.id,
            },
            path: self.path.as_deref().map(Arc::from),
        }
    }
}

/// The container of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerObject<'a> {
    /// The runtime: `runc`, `podman`, `docker`, `containerd` ...
    #[serde(borrow)]
    pub runtime: Cow<'a, str>,
    /// The runtime's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Name that the runtime has for it.
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    /// Uid of its Kubernetes pod.
    #[serde(borrow)]
    pub pod_uid: Option<Cow<'a, str>>,
    /// `NAMESPACE/NAME` of that pod.
    #[serde(borrow, default)]
    pub pod: Option<Cow<'a, str>>,
    /// Directory with the state of the runtime, in which the id is unique.
    #[serde(borrow, default)]
    pub location: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Container> for ContainerObject<'a> {
    fn from(container: &'a Container) -> Self {
        Self {
            runtime: container.runtime.as_str().into(),
            id: container.id.as_str().into(),
            name: container.name.as_deref().map(Cow::from),
            pod_uid: container.pod_uid.as_deref().map(Cow::from),
            pod: container.pod.as_deref().map(Cow::from),
            location: container.location.as_deref().map(Path::to_string_lossy),
        }
    }
}

impl ContainerObject<'_> {
    pub(super) fn to_container(&self) -> Option<Container> {
        Some(Container {
            runtime: Runtime::from_word(&self.runtime)?,
            id: self.id.clone().into_owned(),
            name: self.name.clone().map(Cow::into_owned),
            pod_uid: self.pod_uid.clone().map(Cow::into_owned),
            pod: self.pod.clone().map(Cow::into_owned),
            location: self.location.as_deref().map(PathBuf::from),
        })
    }
}

/// Pid of a process in its own pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceObject {
    /// Pid in that namespace.
    pub pid: u32,
    /// Inode number of the pid namespace.
    pub pid_ns: u32,
}

impl NamespaceObject {
    pub(super) fn of(process: &Process) -> Option<Self> {
        let (pid, pid_ns) = process.ns_pid.zip(process.pid_ns)?;
        Some(Self { pid, pid_ns })
    }
}
