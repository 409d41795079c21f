//! What is waited for, pinned by identity.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::{
    cgroup::{
        mounts::{MountError, Mounts},
        pinned::{PinError, PinnedCgroup},
    },
    model::Backend,
    proc::pinned::{PinProcessError, PinnedProcess},
};

/// One thing to wait for: a cgroup, a process, or a container, which is a cgroup
/// in each hierarchy and an init process.
#[derive(Debug, Default)]
pub struct Target {
    /// All must be as asked; a container has one for each hierarchy. With the
    /// path below the root of the hierarchy.
    pub cgroups: Vec<(PinnedCgroup, String)>,
    /// Likewise.
    pub processes: Vec<PinnedProcess>,
}

/// Why something cannot be waited for.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The mounts are unknown.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// The path lies on no cgroup mount.
    #[error("{} is on no cgroup mount", path.display())]
    NoCgroup {
        /// Which path.
        path: PathBuf,
    },
    /// The cgroup cannot be opened: with `ENOENT` it may be gone already.
    #[error(transparent)]
    Cgroup(#[from] PinError),
    /// The process cannot be pinned: it may be gone already.
    #[error(transparent)]
    Process(#[from] PinProcessError),
}

impl TargetError {
    /// Whether the target is not there: it was removed or has ended, or it never
    /// was.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Cgroup(PinError::Open { source, .. }) => {
                matches!(
                    Errno::from_io_error(source),
                    Some(Errno::NOENT | Errno::NODEV)
                )
            }
            Self::Process(PinProcessError::NotFound { .. }) => true,
            _ => false,
        }
    }
}

impl Target {
    /// A cgroup, v1 or v2, by the absolute path of its directory. Its whole
    /// subtree counts.
    pub fn cgroup(path: &Path) -> Result<Self, TargetError> {
        let mounts = Mounts::read()?;
        let (mount, below) = mounts.of_path(path).ok_or_else(|| TargetError::NoCgroup {
            path: path.to_owned(),
        })?;
        let pinned = PinnedCgroup::open(mount.hierarchy, path)?;
        Ok(Self {
            cgroups: vec![(pinned, below)],
            processes: Vec::new(),
        })
    }

    /// A process by its pid, which must be a thread group's. The hub lets go of
    /// the pidfd if it may not use any.
    pub fn process(pid: u32) -> Result<Self, TargetError> {
        Ok(Self {
            cgroups: Vec::new(),
            processes: vec![PinnedProcess::open(pid, Backend::Pidfd)?],
        })
    }
}
