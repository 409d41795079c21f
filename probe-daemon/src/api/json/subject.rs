//! How a verdict names one of its targets.
//!
//! Every field is always there; the one that is not `null` says which kind of
//! target it is.

use serde::Serialize;

/// One target of a wait or a kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubjectObject<'a> {
    /// A cgroup by itself, or the first one of the container or unit.
    pub cgroup: Option<NamedCgroup<'a>>,
    /// A process.
    pub process: Option<NamedProcess<'a>>,
    /// A container.
    pub container: Option<NamedContainer<'a>>,
    /// A systemd unit.
    pub unit: Option<&'a str>,
}

/// A cgroup by identity, where that is known, and path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedCgroup<'a> {
    /// 0 for v2, else the number that `/proc/self/cgroup` shows; `None` if the
    /// cgroup was removed before it could be opened.
    pub hierarchy: Option<u32>,
    /// Inode number of its directory.
    pub id: Option<u64>,
    /// Path below the root of the hierarchy.
    pub path: &'a str,
}

/// A process by pid and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedProcess<'a> {
    /// Thread group id.
    pub pid: u32,
    /// `None` if the process was reaped before its name was read.
    pub comm: Option<&'a str>,
}

/// A container; one that no runtime knows has only the name that the user typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedContainer<'a> {
    /// `runc`, `podman`, `docker`, `containerd` ...
    pub runtime: Option<&'a str>,
    /// Id as the runtime spells it.
    pub id: Option<&'a str>,
    /// Name that the runtime or the user gave it.
    pub name: Option<&'a str>,
}
