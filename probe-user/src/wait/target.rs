//! [`Target`], the cgroups and processes of a wait, each held open.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::{
    cgroup::{
        mounts::{MountError, Mounts},
        pinned::{PinError, PinnedCgroup},
    },
    model::Backend,
    proc::{
        init_tree::InitTree,
        pinned::{PinProcessError, PinnedProcess},
    },
};

/// The target of a wait: a cgroup, a process, or a container, which has a cgroup in each
/// hierarchy and an init process. The condition must hold for all of them.
#[derive(Debug, Default)]
pub struct Target {
    /// The cgroups, each with its path below the root of its hierarchy.
    pub cgroups: Vec<(PinnedCgroup, String)>,
    /// The processes.
    pub processes: Vec<PinnedProcess>,
    /// The processes of a container without a cgroup of its own. The condition must hold for
    /// them, too.
    pub tree: Option<InitTree>,
    /// Whether the target may have further processes, which nothing finds. No verdict is exact
    /// then.
    pub may_have_others: bool,
}

/// Why a target cannot be waited for.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The cgroup mounts could not be read.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// The path is not on a cgroup mount.
    #[error("{} is not on a cgroup mount", path.display())]
    NoCgroup {
        /// The path of the target.
        path: PathBuf,
    },
    /// The cgroup cannot be opened; with `ENOENT` it may be gone already.
    #[error(transparent)]
    Cgroup(#[from] PinError),
    /// The process cannot be opened; it may be gone already.
    #[error(transparent)]
    Process(#[from] PinProcessError),
}

impl TargetError {
    /// Whether the target does not exist: it was removed, has ended or never existed.
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
    /// A cgroup, v1 or v2, with its whole subtree. `path` is the absolute path of its
    /// directory.
    pub fn cgroup(path: &Path) -> Result<Self, TargetError> {
        let mounts = Mounts::read()?;
        let (mount, below) = mounts.of_path(path).ok_or_else(|| TargetError::NoCgroup {
            path: path.to_owned(),
        })?;
        let pinned = PinnedCgroup::open(mount.hierarchy, path)?;
        Ok(Self {
            cgroups: vec![(pinned, below)],
            ..Self::default()
        })
    }

    /// The process with this pid, which must be that of a thread group. The hub closes the
    /// pidfd if it may not use pidfds.
    pub fn process(pid: u32) -> Result<Self, TargetError> {
        Ok(Self {
            processes: vec![PinnedProcess::open(pid, Backend::Pidfd)?],
            ..Self::default()
        })
    }
}
