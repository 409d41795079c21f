//! Makes the cgroup of a run and removes it.

use std::{
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, flock, mkdir};

use super::name::RunName;
use crate::{
    cgroup::{
        control::CgroupControl,
        mounts::{Mount, MountError, Mounts},
        pinned::{PinError, PinnedCgroup},
    },
    proc::{directory::ProcessDirectory, membership},
    wait::Target,
};

/// Why a run has no cgroup.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The mounts cannot be read.
    #[error(transparent)]
    Mounts(#[from] MountError),
    /// The file of this process in `/proc` cannot be read.
    #[error("cannot read /proc/self")]
    Own(#[source] io::Error),
    /// No cgroup v2 is mounted, or the mount does not show the cgroup of this process.
    #[error("no cgroup v2 mount shows the cgroup of this process")]
    NotMounted,
    /// The directory cannot be made.
    #[error("cannot create {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// The parent is a threaded cgroup, below which no cgroup can have processes.
    #[error("{} can have no processes, because its parent is threaded", path.display())]
    Threaded {
        /// The directory.
        path: PathBuf,
    },
    /// The new cgroup cannot be opened.
    #[error(transparent)]
    Open(#[from] PinError),
}

/// The v2 mount, and the cgroups below which that of a run may be made: first the one of this
/// process, because its limits then hold for the command too, then its ancestors.
pub fn candidates() -> Result<(Mount, Vec<PathBuf>), CreateError> {
    let mounts = Mounts::read()?;
    let mount = mounts.of_hierarchy(0).ok_or(CreateError::NotMounted)?;
    let file = ProcessDirectory::own().and_then(|it| it.content("cgroup"));
    let file = file.map_err(CreateError::Own)?;
    let text = membership::text(&file);
    let mut own = membership::parse(&text).flatten();
    let own = own.find(|it| it.hierarchy == 0);
    let own = own.and_then(|it| mount.directory_of(it.path));
    let own = own.ok_or(CreateError::NotMounted)?;
    let below = |it: &&Path| it.starts_with(&mount.mount_point);
    let parents = own.ancestors().take_while(below);
    Ok((mount.clone(), parents.map(Path::to_owned).collect()))
}

/// The cgroup of a run. A lock on its directory, which other pid namespaces see as well, shows
/// that the run is alive.
#[derive(Debug)]
pub struct RunCgroup {
    target: Target,
}

impl RunCgroup {
    /// Makes a cgroup with this name below a parent.
    pub fn create(mount: &Mount, parent: &Path, name: RunName) -> Result<Self, CreateError> {
        let path = parent.join(name.to_string());
        mkdir(&path, Mode::from(0o755)).map_err(|errno| CreateError::Directory {
            path: path.clone(),
            source: errno.into(),
        })?;
        Self::open(mount, &path).inspect_err(|_| remove_unused(&path))
    }

    fn open(mount: &Mount, path: &Path) -> Result<Self, CreateError> {
        let pinned = PinnedCgroup::open(mount, path)?;
        let kind = fs::read_to_string(path.join("cgroup.type"));
        if kind.is_ok_and(|it| it.trim_end() != "domain") {
            let path = path.to_owned();
            return Err(CreateError::Threaded { path });
        }
        if let Err(errno) = flock(&pinned, FlockOperation::NonBlockingLockExclusive) {
            tracing::debug!(%errno, "cannot lock {}", path.display());
        }
        let target = Target {
            cgroups: vec![pinned],
            ..Target::default()
        };
        Ok(Self { target })
    }

    /// The open cgroup.
    #[must_use]
    pub fn pinned(&self) -> &PinnedCgroup {
        &self.target.cgroups[0]
    }

    /// The cgroup as the target of signals.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A handle that lists the members of the cgroup and removes it.
    pub fn control(&self) -> io::Result<CgroupControl> {
        CgroupControl::of(self.pinned())
    }

    /// Removes a cgroup in which no process was started.
    pub fn discard(self) {
        remove_unused(self.pinned().path());
    }
}

fn remove_unused(path: &Path) {
    if let Err(error) = fs::remove_dir(path) {
        tracing::warn!(%error, "cannot remove {}", path.display());
    }
}

/// Whether a process holds the lock of a run's cgroup.
pub(super) fn is_locked(cgroup: &PinnedCgroup) -> bool {
    let locked = flock(cgroup.as_fd(), FlockOperation::NonBlockingLockExclusive);
    locked == Err(rustix::io::Errno::WOULDBLOCK)
}
