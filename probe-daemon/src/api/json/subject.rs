//! A target of a verdict.
//!
//! Every field is always present. A field that is not `null` shows the kind of the target.

use serde::Serialize;

/// One target of a wait or a kill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubjectObject {
    /// The cgroup, or the first cgroup of the container or unit.
    pub cgroup: Option<NamedCgroup>,
    /// The process, if the target is one.
    pub process: Option<NamedProcess>,
    /// The container, if the target is one.
    pub container: Option<NamedContainer>,
    /// The systemd unit, if the target is one.
    pub unit: Option<String>,
}

/// Path of a cgroup, and its identity if that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedCgroup {
    /// 0 for v2, else the id of the v1 hierarchy; `None` if the cgroup was removed before it
    /// could be opened.
    pub hierarchy: Option<u32>,
    /// Inode number of its directory.
    pub id: Option<u64>,
    /// Path below the root of the hierarchy.
    pub path: String,
}

/// Pid and name of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedProcess {
    /// Thread group id.
    pub pid: u32,
    /// Name of the group leader; `None` if the process was reaped before its name was read.
    pub comm: Option<String>,
}

/// A container. If no runtime knows it, only the name that the user typed is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedContainer {
    /// The runtime: `runc`, `podman`, `docker`, `containerd` ...
    pub runtime: Option<&'static str>,
    /// The runtime's id.
    pub id: Option<String>,
    /// Name that the runtime or the user gave it.
    pub name: Option<String>,
}
