//! Names of a container, and the runtime that it belongs to.

use super::words::words;

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime: the highest layer that is known, so docker rather than the runc
    /// below it.
    pub runtime: Runtime,
    /// Id as the runtime spells it; for LXC and systemd-nspawn the name.
    pub id: String,
    /// Name for people; `None` if the container has none or the runtime's state cannot
    /// be read.
    pub name: Option<String>,
    /// Uid of the Kubernetes pod that the container belongs to.
    pub pod_uid: Option<String>,
}

words! {
    /// A container runtime.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Runtime {
        /// runc by itself.
        Runc = "runc",
        /// crun by itself.
        Crun = "crun",
        /// podman, over runc or crun.
        Podman = "podman",
        /// Docker.
        Docker = "docker",
        /// containerd: ctr, nerdctl, or Kubernetes through its CRI plugin.
        Containerd = "containerd",
        /// CRI-O.
        CriO = "cri-o",
        /// LXC, LXD, Incus.
        Lxc = "lxc",
        /// systemd-nspawn, and other programs that register containers with machined.
        Nspawn = "systemd-nspawn",
    }
}
