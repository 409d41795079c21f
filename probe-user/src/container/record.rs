//! What state on disk says about one container.

use super::runtime::bundle::Pod;
use crate::model::Container;

/// Init process of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// Pid in the pid namespace of the runtime, which is ours too.
    pub pid: u32,
    /// Start in clock ticks after boot: field 22 of `/proc/PID/stat`. With the
    /// pid it identifies the process.
    pub start_ticks: u64,
}

/// A cgroup that a state file says is the container's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// `None` if the file does not say: crun records a path only.
    pub(super) hierarchy: Option<u32>,
    pub(super) path: String,
}

/// A container with everything that was believed of its state.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) container: Container,
    pub(super) pod: Option<Pod>,
    /// Who wrote it.
    pub(super) owner: u32,
    pub(super) cgroups: Vec<Claim>,
    /// Unit of a machine, to be found by name in any slice.
    pub(super) unit: Option<String>,
    /// Recorded and alive when the state was read.
    pub(super) init: Option<Init>,
}
