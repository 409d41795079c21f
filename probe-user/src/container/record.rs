//! A container as the state on disk describes it.

use std::path::PathBuf;

use crate::model::Container;

/// The init process of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// Pid in the pid namespace of the runtime, which is also ours.
    pub pid: u32,
    /// Start in clock ticks after boot: field 22 of `/proc/PID/stat`. Together with the pid it
    /// identifies the process.
    pub start_ticks: u64,
}

/// A cgroup that, according to a state file, belongs to the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// `None` if the file has only a path, as that of crun.
    pub(super) hierarchy: Option<u32>,
    pub(super) path: String,
}

/// A container with the trusted parts of its state.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) container: Container,
    /// Uid of the user that wrote the state.
    pub(super) owner: u32,
    /// The directory with the state of all containers of one runtime root, containerd
    /// namespace or user. Ids are unique in it, and only in it.
    pub(super) location: PathBuf,
    pub(super) cgroups: Vec<Claim>,
    /// Docker's data root, if root's state names it.
    pub(super) docker_root: Option<PathBuf>,
    /// Unit of a machine, which may be in any slice.
    pub(super) unit: Option<String>,
    /// The recorded init process, if it was alive when the state was read.
    pub(super) init: Option<Init>,
}

impl Record {
    /// Whether the state says that this cgroup, hierarchy id and path, is the container's.
    pub(super) fn claims(&self, (hierarchy, path): &(u32, String)) -> bool {
        self.cgroups
            .iter()
            .any(|claim| claim.path == *path && claim.hierarchy.is_none_or(|it| it == *hierarchy))
    }
}
