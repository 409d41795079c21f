//! What a container is called, and which runtime it belongs to.

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Whose container it is: the highest layer that can be told, so docker
    /// rather than the runc below it.
    pub runtime: Runtime,
    /// Id as the runtime spells it; for LXC and systemd-nspawn the name.
    pub id: String,
    /// Name that people call it by; `None` if the runtime gives none or its
    /// state is not readable.
    pub name: Option<String>,
    /// Kubernetes pod that it belongs to.
    pub pod_uid: Option<String>,
}

/// What runs containers.
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
    /// systemd-nspawn and what else registers containers with machined.
    Nspawn,
}

impl Runtime {
    /// All there are.
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

    /// The one that has this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}
