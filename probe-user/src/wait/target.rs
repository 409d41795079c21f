//! [`Target`], the cgroups and processes of a wait, each held open.

use std::path::{Path, PathBuf};

use crate::{
    cgroup::{
        locate::Located,
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
    /// The cgroups.
    pub cgroups: Vec<PinnedCgroup>,
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
            Self::Cgroup(error) => error.missing().is_some(),
            Self::Process(PinProcessError::NotFound { .. }) => true,
            _ => false,
        }
    }
}

impl Target {
    /// A cgroup, v1 or v2, with its whole subtree. `path` is the absolute path of its
    /// directory.
    pub fn cgroup(path: &Path) -> Result<Self, TargetError> {
        let Located::OnMount(mount, path) = Mounts::read()?.locate(path)? else {
            let path = path.to_owned();
            return Err(TargetError::NoCgroup { path });
        };
        Ok(Self {
            cgroups: vec![PinnedCgroup::open(&mount, &path)?],
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
