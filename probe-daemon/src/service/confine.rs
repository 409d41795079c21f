//! The steps, in order, by which the daemon drops its privileges once its BPF programs are
//! attached: user and capabilities, files, system calls.

use std::path::Path;

use probe_user::unstable::{cgroup::mounts::Mount, container::StateRoots};
use tracing::warn;

use super::{
    config::Config,
    privileges::{self, PrivilegeError},
    sandbox::{self, CallError, FileError, Files, Limit},
};

/// Why the daemon could not drop its privileges.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Changing the user or dropping capabilities failed.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// Limiting the access to files failed.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Forbidding system calls failed.
    #[error(transparent)]
    Calls(#[from] CallError),
}

impl ConfineError {
    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Privileges(error) => error.hint(),
            Self::Files(_) | Self::Calls(_) => {
                "a seccomp profile around the daemon may be the cause; \
                 allow prctl, seccomp and the landlock system calls"
            }
        }
    }
}

/// The files that the daemon needs for serving.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileNeeds<'a> {
    /// The cgroup mounts.
    pub(crate) mounts: &'a [Mount],
    /// State directories of container runtimes.
    pub(crate) roots: &'a StateRoots,
    /// The directory of the socket, if the daemon created the socket and must remove it.
    pub(crate) socket_directory: Option<&'a Path>,
}

/// Drops every privilege that serving does not need. The caller must have done everything
/// that needs a privilege, and must not have started a second thread. `works` tries the
/// operations on BPF maps that serving needs, see [`privileges::drop_to`].
pub(crate) fn confine(
    config: &Config,
    needs: FileNeeds<'_>,
    works: impl FnMut() -> bool + Send,
) -> Result<(), ConfineError> {
    privileges::drop_to(config.account.as_ref(), config.runtime_names, works)?;
    let files = Files::needed(
        needs.mounts,
        needs.roots,
        needs.socket_directory,
        config.runtime_names,
    );
    if sandbox::limit_files(&files)? == Limit::None && config.runtime_names {
        warn!("runtime-names needs Landlock: only state that every user may read is read");
        privileges::drop_read_all()?;
    }
    sandbox::forbid_calls()?;
    Ok(())
}
