//! The steps, in order, by which the daemon gives up what it does not need once its
//! BPF programs are attached: user and capabilities, files, system calls.

use std::path::Path;

use probe_user::unstable::{cgroup::mounts::Mount, container::StateRoots};
use tracing::warn;

use super::{
    config::Config,
    privileges::{self, PrivilegeError},
    sandbox::{self, CallError, FileError, Files, Limit},
};

/// Why the daemon could not give up a right.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// User and capabilities.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// Files.
    #[error(transparent)]
    Files(#[from] FileError),
    /// Calls.
    #[error(transparent)]
    Calls(#[from] CallError),
}

impl ConfineError {
    /// What a user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Privileges(error) => error.hint(),
            Self::Files(_) | Self::Calls(_) => {
                "a seccomp profile around the daemon may forbid it; \
                 it needs prctl, seccomp and the landlock calls"
            }
        }
    }
}

/// The files that the daemon goes on using.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileNeeds<'a> {
    /// The cgroup mounts.
    pub(crate) mounts: &'a [Mount],
    /// State directories of container runtimes.
    pub(crate) roots: &'a StateRoots,
    /// The directory of the socket, which the daemon removes at the end if it made it.
    pub(crate) socket_directory: Option<&'a Path>,
}

/// Gives up everything but what serving needs. To be called once everything that
/// needs a privilege is done, and before a second thread exists. `works` tries what
/// the daemon will do with its maps, see [`privileges::drop_to`].
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
        warn!("runtime-names needs Landlock: state that only its owner may read stays unread");
        privileges::read_no_more()?;
    }
    sandbox::forbid_calls()?;
    Ok(())
}
