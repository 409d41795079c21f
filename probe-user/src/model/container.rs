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
    /// `NAMESPACE/NAME` of that pod; `None` if the runtime's state does not have it or cannot
    /// be read.
    pub pod: Option<String>,
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
        /// LXC, and LXD or Incus if their state cannot be read.
        Lxc = "lxc",
        /// LXD.
        Lxd = "lxd",
        /// Incus.
        Incus = "incus",
        /// systemd-nspawn, and other programs that register containers with machined.
        Nspawn = "systemd-nspawn",
        /// Nomad's drivers that run a task without another engine (`exec`, `raw_exec`, `java`).
        Nomad = "nomad",
        /// Slurm: a job or a step of a job.
        Slurm = "slurm",
        /// Garden of Cloud Foundry.
        Garden = "garden",
        /// Amazon ECS, where its agent runs the task without Docker (Fargate).
        Ecs = "ecs",
        /// An engine that gives a cgroup nothing but a random id as its name, and whose state
        /// cannot be read.
        Unknown = "unknown",
    }
}

impl Runtime {
    /// Whether liblxc runs the container, which gives the cgroups their names.
    #[must_use]
    pub const fn is_of_lxc(self) -> bool {
        matches!(self, Self::Lxc | Self::Lxd | Self::Incus)
    }
}
