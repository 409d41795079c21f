//! The reasons why a cgroup cannot be pinned.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{
    open::{Blocked, hidden},
    pinned::is_gone,
};

/// Why a cgroup cannot be waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PinError {
    /// The directory cannot be opened; with `ENOENT` it may be gone already.
    #[error("cannot open cgroup {}", path.display())]
    Open {
        path: PathBuf,
        /// The directory that cannot be opened: `path`, or the first one on the way to it.
        at: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file system is mounted on the directory or on one above it, so the state of the cgroup
    /// cannot be read.
    #[error(
        "cgroup {} is hidden by the {} that is mounted on {}",
        path.display(), by.as_deref().unwrap_or("file system"), mount_point.display()
    )]
    Hidden {
        path: PathBuf,
        mount_point: PathBuf,
        /// Type of the mounted file system.
        by: Option<String>,
    },
    /// A root cgroup never becomes empty.
    #[error("{} is the root of its hierarchy and never becomes empty", path.display())]
    Root { path: PathBuf },
}

impl PinError {
    /// The directory that does not exist, if the cgroup is not there: the cgroup itself, or the
    /// first missing one above it.
    #[must_use]
    pub fn missing(&self) -> Option<&Path> {
        match self {
            Self::Open { at, source, .. } if is_gone(source) => Some(at),
            _ => None,
        }
    }

    pub(super) fn failed(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        Self::Open {
            at: path.clone(),
            path,
            source: errno.into(),
        }
    }

    pub(super) fn blocked(path: &Path, Blocked { at, source }: Blocked) -> Self {
        let path = path.to_owned();
        match hidden(&source) {
            Some(hidden) => Self::Hidden {
                path,
                mount_point: hidden.path.clone(),
                by: hidden.by.clone(),
            },
            None => Self::Open { path, at, source },
        }
    }
}

impl From<PinError> for io::Error {
    fn from(error: PinError) -> Self {
        match error {
            PinError::Open { source, .. } => source,
            error => Self::other(error),
        }
    }
}
