//! Names of a container, and the runtime that it belongs to.

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

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// runc by itself.
    Runc,
    /// crun by itself.
    Crun,
    /// podman, over runc or crun.
    Podman,
    /// Docker.
    Docker,
    /// containerd: ctr, nerdctl, or Kubernetes through its CRI plugin.
    Containerd,
    /// CRI-O.
    CriO,
    /// LXC, LXD, Incus.
    Lxc,
    /// systemd-nspawn, and other programs that register containers with machined.
    Nspawn,
}

impl Runtime {
    /// Every runtime.
    pub const ALL: [Self; 8] = [
        Self::Runc,
        Self::Crun,
        Self::Podman,
        Self::Docker,
        Self::Containerd,
        Self::CriO,
        Self::Lxc,
        Self::Nspawn,
    ];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
        }
    }

    /// The runtime that has this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}
