//! Which container a cgroup belongs to, and which cgroups a container has.
//!
//! Two sources: how a runtime names its cgroups ([`layout`], no I/O), and what
//! runtimes leave on disk (`index`), which nobody's word is taken for unless
//! `trust` allows it. [`Resolver`] joins them. What each runtime does is in one
//! file below `runtime/`.

mod candidate;
mod describe;
mod evidence;
mod find;
mod index;
mod inits;
pub mod layout;
mod locate;
mod pod;
mod record;
mod resolver;
mod roots;
mod runtime;
mod state_file;
mod trust;

#[cfg(test)]
mod tests;

pub use find::{FindError, Found, Match};
pub use record::Init;
pub use resolver::Resolver;
pub use roots::StateRoots;

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
